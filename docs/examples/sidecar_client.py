"""A whole adapter. The ticketing software is a folder here, with one JSON file per ticket.

    python3 sidecar_client.py http://127.0.0.1:8790 tickets/
"""

import json, pathlib, sys, time, urllib.request

API, FOLDER, reported = sys.argv[1], pathlib.Path(sys.argv[2]), {}


def call(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(API + path, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def carry_out(message):
    """Brings what lockstep wants into the ticket; once more does no harm."""
    wanted = message["data"]["ticket"]
    file = FOLDER / (wanted["key"] + ".json")
    ticket = json.loads(file.read_text()) if file.exists() else {"comments": []}
    ticket |= {field: wanted[field] for field in message["data"]["changed"] + ["closing_note"]}
    comment = message["data"].get("comment")
    if comment and comment["id"] not in [known["id"] for known in ticket["comments"]]:
        ticket["comments"].append({"id": comment["id"], "text": comment["text"], "from": "lockstep"})
    draft = file.with_suffix(".new")
    draft.write_text(json.dumps(ticket, indent=2))
    draft.rename(file)


def report(file):
    """Tells lockstep what the ticket says, all of it; what it said before is no news."""
    text, path = file.read_text(), "/v1/tickets/" + file.stem
    if reported.get(file) == text:
        return
    ticket = json.loads(text)
    comments = [comment for comment in ticket.pop("comments") if comment.get("from") != "lockstep"]
    call("PUT", path, ticket)
    for comment in comments:
        call("POST", path + "/comments", comment)
    reported[file] = text


while True:
    try:
        for file in FOLDER.glob("*.json"):
            report(file)
        for message in call("GET", "/v1/changes?wait=1")["messages"]:
            carry_out(message)
            call("POST", "/v1/changes/ack", {"messages": [message["id"]]})
    except OSError as error:  # lockstep is away, or refuses something: say so, and try again
        print(error, file=sys.stderr)
        time.sleep(1)
