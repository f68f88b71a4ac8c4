//! The listener: one thread, one loopback socket, connections that can be cut without an answer.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::extract::{Request as HttpRequest, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::Shared;
use super::wire::{Body, Reply, Request};

/// Larger requests are refused.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// What is to happen to one request besides its answer.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Delivery {
    /// Wait before the answer leaves.
    pub(super) wait: Duration,
    /// Close the connection instead of answering.
    pub(super) cut: bool,
}

/// The running listener; stops when dropped.
pub(super) struct Server {
    pub(super) addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens on `listen` and returns once connections are accepted.
    pub(super) fn start(listen: SocketAddr, shared: Arc<Shared>) -> io::Result<Self> {
        let socket = std::net::TcpListener::bind(listen)?;
        socket.set_nonblocking(true)?;
        let addr = socket.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("emulator".to_owned()).spawn(move || {
            runtime.block_on(async move {
                if let Ok(socket) = TcpListener::from_std(socket) {
                    let app = Router::new().fallback(handle).with_state(shared);
                    let app = app.into_make_service_with_connect_info::<Switch>();
                    tokio::select! {
                        _ = axum::serve(Cuttable(socket), app) => {}
                        _ = stopped => {}
                    }
                }
            });
            // Open connections end with the runtime.
            runtime.shutdown_background();
        })?;
        Ok(Self { addr, stop: Some(stop), thread: Some(thread) })
    }

    pub(super) fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn handle(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(switch): ConnectInfo<Switch>,
    request: HttpRequest,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MAX_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let headers = parts
        .headers
        .iter()
        .map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect();
    let request = Request::new(parts.method.as_str(), target, headers, body.to_vec());
    // On a task of its own: a caller that gives up does not stop what it has asked for.
    let answer = tokio::spawn(async move { shared.answer(&request).await });
    let Ok((reply, delivery)) = answer.await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    if !delivery.wait.is_zero() {
        tokio::time::sleep(delivery.wait).await;
    }
    if delivery.cut {
        switch.0.store(true, Ordering::SeqCst);
    }
    into_response(reply)
}

fn into_response(reply: Reply) -> Response {
    plain_response(reply).map(axum::body::Body::from)
}

/// Answers a request without a network, at once. Waits of faults are left out; a cut connection answers 503.
#[cfg(test)]
pub(super) fn in_process(shared: &Shared, request: &reqwest::Request) -> reqwest::Response {
    let url = request.url();
    let target = &url[url::Position::BeforePath..];
    let text = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers =
        request.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
    let request = Request::new(request.method().as_str(), target, headers, body.to_vec());
    let mut world = shared.present();
    let plan = world.plan(&request);
    plain_response(world.answer(&request, &plan).0).into()
}

fn plain_response(reply: Reply) -> axum::http::Response<String> {
    let mut response = axum::http::Response::builder().status(reply.status);
    let content_type = match &reply.body {
        Body::Empty => None,
        Body::Json(_) => Some("application/json; charset=utf-8"),
        Body::Raw(content_type, _) => Some(*content_type),
    };
    let own_type = reply.headers.iter().any(|(name, _)| *name == "content-type");
    if let (Some(content_type), false) = (content_type, own_type) {
        response = response.header("content-type", content_type);
    }
    for (name, value) in &reply.headers {
        response = response.header(*name, value.replace(['\r', '\n'], " "));
    }
    let body = match reply.body {
        Body::Empty => String::new(),
        Body::Json(value) => value.to_string(),
        Body::Raw(_, text) => text,
    };
    response.body(body).unwrap_or_else(|_| {
        let mut broken = axum::http::Response::new(String::new());
        *broken.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        broken
    })
}

/// Accepts connections that carry a [`Switch`].
struct Cuttable(TcpListener);

impl Listener for Cuttable {
    type Io = CuttableStream;
    type Addr = Switch;

    async fn accept(&mut self) -> (CuttableStream, Switch) {
        let (stream, _) = Listener::accept(&mut self.0).await;
        let _ = stream.set_nodelay(true);
        let switch = Switch::default();
        (CuttableStream { stream, switch: switch.clone() }, switch)
    }

    fn local_addr(&self) -> io::Result<Switch> {
        Ok(Switch::default())
    }
}

/// Once thrown, the connection takes no more bytes out and closes.
#[derive(Debug, Clone, Default)]
struct Switch(Arc<AtomicBool>);

impl Connected<IncomingStream<'_, Cuttable>> for Switch {
    fn connect_info(stream: IncomingStream<'_, Cuttable>) -> Self {
        stream.remote_addr().clone()
    }
}

struct CuttableStream {
    stream: TcpStream,
    switch: Switch,
}

impl CuttableStream {
    fn is_cut(&self) -> bool {
        self.switch.0.load(Ordering::SeqCst)
    }
}

impl AsyncRead for CuttableStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for CuttableStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_cut() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
