"""An engine for tests: answers on its port, and misbehaves as its flags say."""
import http.server
import json
import os
import signal
import subprocess
import sys
import time

port, flags = int(sys.argv[1]), sys.argv[2:]


def wait_for(path):
    while not os.path.exists(path):
        time.sleep(0.02)


def run(*command, **options):
    subprocess.Popen(command, stdin=subprocess.DEVNULL, **options)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        known = self.path in ("/health", "/about")
        about = {"environment": dict(os.environ), "arguments": sys.argv[1:], "directory": os.getcwd()}
        body = json.dumps(about).encode()
        self.send_response(200 if known else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


print(f"starting on {port}", flush=True)
if "ignore-term" in flags:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "child" in flags:
    run("sleep", "1000")
if "stubborn-grandchild" in flags:
    run("/bin/sh", "-c", "trap '' TERM; sleep 1000 & wait; wait")
if "stray" in flags:
    run("sleep", "1000", start_new_session=True)
if "overwrite-environment" in flags:
    with open("/proc/self/stat") as stat:
        start, end = (int(field) for field in stat.read().rsplit(")", 1)[1].split()[47:49])
    with open("/proc/self/mem", "r+b", buffering=0) as memory:
        memory.seek(start)
        memory.write(b"\0" * (end - start))
if "crash" in flags or ("crash-while-broken" in flags and os.path.exists("broken")):
    sys.exit(3)
if "never-ready" in flags or ("deaf-at-first" in flags and not os.path.exists("tried")):
    with open("tried", "w") as file:
        file.write(str(port))
    time.sleep(1000)
if "late-at-first" in flags and not os.path.exists("tried"):
    with open("tried.new", "w") as file:
        file.write(str(port))
    os.rename("tried.new", "tried")
    wait_for("go")
if "chatty" in flags:
    for line in range(2000):
        print(f"line {line} of many", flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
