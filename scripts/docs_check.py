#!/usr/bin/env python3
"""Runs the command blocks of the documentation. usage: docs_check.py STRATA [PAGE...]

A page's blocks run in the order of the page, in a temporary directory of its own that scripts/docs_stage.sh fills with
small data: the models and servers that a page names are a small model and a small server there.

    ```sh                 run by sh -e
    ```python             run by python3, if it has the modules that the block imports
    ```json file=NAME     (any language) written to NAME first
    <!-- check: skip (REASON) -->              before a block: it cannot run here
    <!-- check: without "TEXT" (REASON) -->    before a block: lines that begin with TEXT cannot

Ends with a line "N passed, N failed, N skipped" (blocks; a left-out line counts as one skipped)."""
import http.server
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LIMIT = 600  # seconds for one block
MARK = re.compile(r'^<!-- check: (skip|without "([^"]*)") \((.+)\) -->$')
# Lines that cannot run, of pages that are made from the option table and so cannot hold a mark.
LEFT_OUT = {
    "docs/commands/study.md": [
        ("strata study recipes/tiny.yaml --out study --only", "trains for hours"),
        ("strata report study", "of what the line before it makes"),
    ],
}
COMMAND = re.compile(r"^(\$ )?(strata|make|python3?|pip|sh|mpirun|cmake|ctest|build/strata) ")


class Server(http.server.BaseHTTPRequestHandler):
    """Chat completions for any host: commands reach it as their HTTP proxy."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = json.dumps(request["messages"])
        answer = "0.5" if "Correctness" in text or "correctness" in text else "A"
        choice = {"message": {"role": "assistant", "content": answer}, "finish_reason": "stop"}
        body = json.dumps({
            "choices": [dict(choice, index=i) for i in range(request.get("n", 1))],
            "usage": {"prompt_tokens": 10, "completion_tokens": request.get("n", 1)},
        }).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


class Block:
    def __init__(self, line, info, mark):
        self.line, self.mark, self.text = line, mark, ""
        words = info.split()
        self.language = words[0] if words else ""
        self.file = next((word[5:] for word in words if word.startswith("file=")), None)


def blocks_of(path):
    """The fenced blocks of a page, and what is wrong with it."""
    blocks, complaints, block, mark = [], [], None, None
    with open(path, encoding="utf-8") as page:
        for number, line in enumerate(page, 1):
            line = line.rstrip("\n")
            if block is not None and line.startswith("```"):
                blocks.append(block)
                block = None
            elif block is not None:
                block.text += line + "\n"
            elif line.startswith("```"):
                block, mark = Block(number, line[3:], mark), None
            elif line.startswith("<!-- check:"):
                mark = MARK.match(line)
                if not mark:
                    complaints.append((number, "this mark cannot be read: " + line))
            elif line.strip():
                if mark:
                    complaints.append((number, "a mark stands before no block"))
                mark = None
    for one in blocks:
        usage = "/commands/" in path and one is blocks[0]
        if one.language == "" and not usage and not one.mark and any(COMMAND.match(text) for text in one.text.split("\n")):
            if not one.text.startswith("$ "):  # a session: what was typed and what came
                complaints.append((one.line, "commands in a block that is not marked sh"))
    return blocks, complaints


class Check:
    def __init__(self, strata):
        self.strata = os.path.abspath(strata)
        self.passed, self.failed, self.skipped = 0, 0, 0
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def skip(self, where, reason):
        self.skipped += 1
        print(f"skipped  {where}: {reason}", flush=True)

    def fail(self, where, why):
        self.failed += 1
        print(f"FAILED   {where}: {why}", flush=True)

    def environment(self, stage):
        keep = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "TMPDIR", "PYTHONPATH")}
        return dict(
            keep,
            PATH=os.path.dirname(self.strata) + ":" + keep["PATH"],
            HOME=os.path.join(stage, "home"),
            LMUData=os.path.join(stage, "LMUData"),
            http_proxy="http://127.0.0.1:%d" % self.server.server_address[1],
        )

    def run(self, where, command, stage):
        """Runs one block; True when it passed."""
        try:
            done = subprocess.run(command, cwd=stage, env=self.environment(stage), stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT, check=False)
        except subprocess.TimeoutExpired:
            return self.fail(where, f"not done after {LIMIT} s")
        if done.returncode:
            return self.fail(where, f"exit status {done.returncode}\n{done.stdout.decode(errors='replace')[-3000:]}")
        return True

    def block(self, page, block, stage):
        where, text = f"{page}:{block.line}", block.text
        kind = block.mark.group(1) if block.mark else ""
        if kind == "skip":
            return self.skip(where, block.mark.group(3))
        if block.file:
            path = os.path.join(stage, block.file)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            return None
        if block.language == "python":
            modules = re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE)
            missing = [module for module in modules if importlib.util.find_spec(module) is None]
            if missing:
                return self.skip(where, "python3 has no " + ", ".join(missing))
            command = [sys.executable, "-c", text]
        elif block.language in ("sh", "bash"):
            without = LEFT_OUT.get(page, []) + ([(block.mark.group(2), block.mark.group(3))] if kind else [])
            for start, reason in without:
                lines = text.split("\n")
                text = "\n".join(line for line in lines if not line.startswith(start))
                if text.count("\n") + 1 == len(lines):
                    return self.fail(where, f"no line begins with {start}")
                self.skip(f"{where} ({start} …)", reason)
            command = ["sh", "-e", "-c", text]
        else:
            return None
        if self.run(where, command, stage):
            self.passed += 1
            print(f"passed   {where}", flush=True)
        return None

    def page(self, path):
        page = os.path.relpath(path, ROOT)
        blocks, complaints = blocks_of(path)
        for line, text in complaints:
            self.fail(f"{page}:{line}", text)
        if not any(block.language in ("sh", "bash", "python") for block in blocks):
            return
        stage = tempfile.mkdtemp(prefix="strata-docs-")
        try:
            if self.run(page, ["sh", "-e", os.path.join(ROOT, "scripts/docs_stage.sh"), ROOT, page], stage):
                for block in blocks:
                    self.block(page, block, stage)
        finally:
            shutil.rmtree(stage)


def main():
    if len(sys.argv) < 2:
        sys.exit("usage: docs_check.py STRATA [PAGE...]")
    check = Check(sys.argv[1])
    pages = sys.argv[2:] or [os.path.join(ROOT, "README.md")] + sorted(
        os.path.join(folder, name)
        for folder in (os.path.join(ROOT, "docs"), os.path.join(ROOT, "docs/commands"))
        for name in os.listdir(folder)
        if name.endswith(".md"))
    for path in pages:
        check.page(os.path.abspath(path))
    print(f"{check.passed} passed, {check.failed} failed, {check.skipped} skipped")
    sys.exit(check.failed > 0)


main()
