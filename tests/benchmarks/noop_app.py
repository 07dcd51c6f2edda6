"""The least a Flask view can do: what the server and the framework cost by themselves."""

from flask import Flask, Response

app = Flask("noop")


@app.get("/data")
def nothing() -> Response:
    return Response(b"{}", mimetype="application/json")
