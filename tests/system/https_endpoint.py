#!/usr/bin/env python3
"""https_endpoint.py TROUPE: the openai responder asks an endpoint over HTTPS, and no endpoint that it cannot trust.

Needs openssl (the command) for a certificate; exit code 77 without it."""
import http.server
import json
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request


class Endpoint(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    rude = False  # hangs up before it has read what it is asked

    def do_POST(self):
        if Endpoint.rude:
            self.connection.shutdown(socket.SHUT_WR)  # so that the next write is a broken pipe
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()
            self.close_connection = True
            return
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        said = asked["messages"][-1]["content"]
        chunks = [{"choices": [{"delta": {"content": piece}}]} for piece in ("you said ", said)]
        chunks += [{"choices": [{"delta": {}, "finish_reason": "stop"}]}]
        chunks += [{"choices": [], "usage": {"prompt_tokens": len(asked["messages"]), "completion_tokens": 2}}]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for data in [json.dumps(chunk) for chunk in chunks] + ["[DONE]"]:
            event = f"data: {data}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
        self.wfile.write(b"0\r\n\r\n")

    def finish(self):
        try:
            super().finish()
        except OSError:
            pass

    def log_message(self, *_):
        pass


def post(url, body):
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refusal:
        return refusal.code, json.load(refusal)


def ask(url, query):
    return post(url + "/api/agent/quick", {"query": query, "context": {"session_id": "s"}})


def ask_rude(url):
    """A history of several megabytes, so that much of it is on its way when the endpoint hangs up."""
    assert ask(url, "one")[0] == 200
    for _ in range(30):
        assert post(url + "/v1/sessions/s/items", {"items": [{"role": "user", "content": "x" * 100_000}]})[0] == 201
    Endpoint.rude = True
    answers = [ask(url, "still there?") for _ in range(5)]
    Endpoint.rude = False
    return answers


def with_node(troupe, store, port, more, use):
    node = subprocess.Popen(
        [troupe, "serve", "--data", store, "--listen", "127.0.0.1:0", "--responder", "openai", "--openai-model", "m",
         "--openai-url", f"https://localhost:{port}/v1", *more], stdout=subprocess.PIPE, text=True)
    try:
        return use(node.stdout.readline().split()[-1])
    finally:
        node.terminate()
        assert node.wait(30) == 0


def main():
    troupe = sys.argv[1]
    if shutil.which("openssl") is None:
        print("skipped: openssl is not installed")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as work:
        key, certificate = f"{work}/key.pem", f"{work}/certificate.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
                       check=True, capture_output=True)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]

        trusting = ["--openai-ca-file", certificate]
        status, answer = with_node(troupe, f"{work}/a", port, trusting, lambda url: (ask(url, "one"), ask(url, "two"))[1])
        assert (status, answer["response"]) == (200, "you said two"), answer
        assert answer["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}, answer
        assert answer["turn_count"] == 4, answer

        status, answer = with_node(troupe, f"{work}/b", port, [], lambda url: ask(url, "one"))
        assert (status, answer["code"]) == (502, "responder_failed"), answer
        assert "certificate" in answer["detail"], answer
        for status, answer in with_node(troupe, f"{work}/c", port, trusting + ["--session-history-limit", "0"], ask_rude):
            assert (status, answer["code"]) == (502, "responder_failed"), answer
    print("asked over HTTPS; an endpoint that is not trusted was not")


main()
