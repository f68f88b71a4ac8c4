/* Records what a process does to the files below one directory: every write, truncation and sync, and every change of
 * a name, with its data and in the order in which they happened. Preloaded by the power-cut tests.
 *
 *   LOCKSTEP_RECORD_BELOW   the directory, absolute and without symbolic links
 *   LOCKSTEP_RECORD_TO      the log, which lies elsewhere
 *
 * One lock is held over each call and its record, so the order of the log is the order of the disk. sync_file_range is
 * not recorded, since it makes nothing durable. What the recorder cannot express ends the process; what escapes it
 * (a system call made directly, a mapped file) shows when the replayed directory differs from the real one.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OPENED = 1, CREATED, WRITTEN, RESIZED, SYNCED, RENAMED, UNLINKED, DIRECTORY_MADE, DIRECTORY_REMOVED };

struct record {
    uint32_t kind;
    uint32_t path_bytes;
    uint64_t inode;
    uint64_t at; /* the offset of a write, the new length of a resized file */
    uint64_t data_bytes;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *below;
static int log_file = -1;

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}

static void give_up(const char *why) {
    fprintf(stderr, "recorder: %s\n", why);
    _exit(70);
}

__attribute__((constructor)) static void start(void) {
    const char *to = getenv("LOCKSTEP_RECORD_TO");
    below = getenv("LOCKSTEP_RECORD_BELOW");
    if (!to || !below) return;
    log_file = REAL(open)(to, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_file < 0) give_up("the log cannot be opened");
}

static int is_below(const char *path) {
    size_t length = below ? strlen(below) : 0;
    /* The copy that the store is tried on is thrown away at the next opening, whatever it holds. */
    return log_file >= 0 && !strncmp(path, below, length) && path[length] == '/' && !strstr(path, "/trial");
}

/* The path behind a descriptor; whether it is recorded. */
static int path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return is_below(path);
}

/* The absolute path of a name; whether it is recorded. */
static int absolute(int dir, const char *name, char *path) {
    char base[PATH_MAX];
    if (name[0] == '/') {
        snprintf(path, PATH_MAX, "%s", name);
    } else if (dir == AT_FDCWD) {
        return 0; /* the tests name everything in full */
    } else {
        path_of(dir, base);
        if (snprintf(path, PATH_MAX, "%s/%s", base, name) >= PATH_MAX) give_up("a path is too long");
    }
    return is_below(path);
}

static void put(uint32_t kind, const char *path, uint64_t inode, uint64_t at, const void *data, size_t bytes) {
    struct record record = {kind, path ? strlen(path) : 0, inode, at, bytes};
    struct iovec parts[] = {
        {&record, sizeof record}, {(void *)path, record.path_bytes}, {(void *)data, bytes}};
    ssize_t wanted = sizeof record + record.path_bytes + bytes;
    if (REAL(writev)(log_file, parts, 3) != wanted) give_up("the log cannot be written");
}

static uint64_t inode_of(int fd) {
    struct stat found;
    if (fstat(fd, &found)) give_up("a file has no inode");
    return found.st_ino;
}

static void hold(void) { pthread_mutex_lock(&lock); }

static void release(void) {
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
}

static int opened(int dir, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    if (!absolute(dir, name, path)) return REAL(openat)(dir, name, flags, mode);
    if (flags & (O_APPEND | O_DSYNC | O_SYNC | O_DIRECT)) give_up("a file is opened in a way that is not modelled");
    hold();
    int existed = access(path, F_OK) == 0;
    int fd = REAL(openat)(dir, name, flags, mode);
    if (fd >= 0) {
        put(existed ? OPENED : CREATED, path, inode_of(fd), 0, NULL, 0);
        if (existed && (flags & O_TRUNC)) put(RESIZED, NULL, inode_of(fd), 0, NULL, 0);
    }
    release();
    return fd;
}

#define MODE(flags)                                  \
    mode_t mode = 0;                                 \
    if ((flags) & (O_CREAT | __O_TMPFILE)) {         \
        va_list rest;                                \
        va_start(rest, flags);                       \
        mode = va_arg(rest, mode_t);                 \
        va_end(rest);                                \
    }

int open(const char *name, int flags, ...) { MODE(flags) return opened(AT_FDCWD, name, flags, mode); }
int open64(const char *name, int flags, ...) { MODE(flags) return opened(AT_FDCWD, name, flags, mode); }
int openat(int dir, const char *name, int flags, ...) { MODE(flags) return opened(dir, name, flags, mode); }
int openat64(int dir, const char *name, int flags, ...) { MODE(flags) return opened(dir, name, flags, mode); }
int creat(const char *name, mode_t mode) { return opened(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode); }

ssize_t write(int fd, const void *data, size_t bytes) {
    char path[PATH_MAX];
    if (!path_of(fd, path)) return REAL(write)(fd, data, bytes);
    hold();
    off_t at = lseek(fd, 0, SEEK_CUR);
    ssize_t done = REAL(write)(fd, data, bytes);
    if (done > 0) put(WRITTEN, NULL, inode_of(fd), at, data, done);
    release();
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t at) {
    char path[PATH_MAX];
    if (!path_of(fd, path)) return REAL(pwrite)(fd, data, bytes, at);
    hold();
    ssize_t done = REAL(pwrite)(fd, data, bytes, at);
    if (done > 0) put(WRITTEN, NULL, inode_of(fd), at, data, done);
    release();
    return done;
}
ssize_t pwrite64(int fd, const void *data, size_t bytes, off_t at) { return pwrite(fd, data, bytes, at); }

/* Nobody writes in pieces so far; if that changes, the recorder must learn it. */
ssize_t writev(int fd, const struct iovec *parts, int count) {
    char path[PATH_MAX];
    if (path_of(fd, path)) give_up("writev is not modelled");
    return REAL(writev)(fd, parts, count);
}

int ftruncate(int fd, off_t length) {
    char path[PATH_MAX];
    if (!path_of(fd, path)) return REAL(ftruncate)(fd, length);
    hold();
    int result = REAL(ftruncate)(fd, length);
    if (!result) put(RESIZED, NULL, inode_of(fd), length, NULL, 0);
    release();
    return result;
}
int ftruncate64(int fd, off_t length) { return ftruncate(fd, length); }

static int synced(int fd, int (*sync)(int)) {
    char path[PATH_MAX];
    path_of(fd, path);
    /* The watched directory itself counts too. */
    if (!is_below(path) && (log_file < 0 || strcmp(path, below))) return sync(fd);
    hold();
    int result = sync(fd);
    if (!result) put(SYNCED, path, inode_of(fd), 0, NULL, 0);
    release();
    return result;
}
int fsync(int fd) { return synced(fd, REAL(fsync)); }
int fdatasync(int fd) { return synced(fd, REAL(fdatasync)); }

int rename(const char *from, const char *to) {
    char source[PATH_MAX], target[PATH_MAX];
    int recorded = absolute(AT_FDCWD, from, source) | absolute(AT_FDCWD, to, target);
    if (!recorded) return REAL(rename)(from, to);
    hold();
    int result = REAL(rename)(from, to);
    if (!result) put(RENAMED, source, 0, 0, target, strlen(target));
    release();
    return result;
}

static int removed(int dir, const char *name, int flags) {
    char path[PATH_MAX];
    if (!absolute(dir, name, path)) return REAL(unlinkat)(dir, name, flags);
    hold();
    int result = REAL(unlinkat)(dir, name, flags);
    if (!result) put(flags & AT_REMOVEDIR ? DIRECTORY_REMOVED : UNLINKED, path, 0, 0, NULL, 0);
    release();
    return result;
}
int unlinkat(int dir, const char *name, int flags) { return removed(dir, name, flags); }
int unlink(const char *name) { return removed(AT_FDCWD, name, 0); }
int rmdir(const char *name) { return removed(AT_FDCWD, name, AT_REMOVEDIR); }

int mkdir(const char *name, mode_t mode) {
    char path[PATH_MAX];
    if (!absolute(AT_FDCWD, name, path)) return REAL(mkdir)(name, mode);
    hold();
    int result = REAL(mkdir)(name, mode);
    if (!result) put(DIRECTORY_MADE, path, 0, 0, NULL, 0);
    release();
    return result;
}
