"""The program of the page: echoes, work by Celery, and a run, by JSON-RPC; Brython runs it in the browser."""

from browser import document, window
from javascript import JSON

CHECK_MS, WATCH_MS = 1000, 400
LONGEST_OUTPUT = 100_000


class Wrong(Exception):
    """What went wrong, for people."""


class Server:
    """The server that the visitor has named."""

    def call(self, method, params, answered, failed):
        """Call a method; `answered` gets its result, `failed` a sentence."""
        request = window.XMLHttpRequest.new()

        def loaded(_event):
            try:
                result = self._result(request)
            except Wrong as error:
                failed(str(error))
            else:
                answered(result)

        def broken(_event):
            failed("The server cannot be reached, or does not have this page's origin in CORS_ORIGINS.")

        request.onload = loaded
        request.onerror = broken
        try:
            request.open("POST", document["address"].value.strip().rstrip("/") + "/rpc")
            request.setRequestHeader("Content-Type", "application/json-rpc")
            request.setRequestHeader("Authorization", f"Bearer {document['token'].value.strip()}")
        except Exception:
            failed("Please check the address and the token.")
            return
        request.send(JSON.stringify({"jsonrpc": "2.0", "id": "ID1", "method": method, "params": params}))

    def _result(self, request):
        try:
            answer = JSON.parse(request.responseText)
        except Exception:
            raise Wrong(f"The server answered {request.status}, and no JSON-RPC.")
        if "error" in answer:
            error = answer["error"]
            raise Wrong(error["data"]["message"] if "data" in error else error["message"])
        return answer["result"]


class Said:
    """A line that says how far something is."""

    def __init__(self, name):
        self._element = document[name]

    def say(self, text):
        """Say it."""
        self._element.text = text
        self._element.class_name = "said"

    def complain(self, text):
        """Say what is wrong."""
        self._element.text = text
        self._element.class_name = "said wrong"


class Echo:
    """A text is echoed: at once by the server, or after a while by Celery."""

    def __init__(self, server):
        self._server, self._said = server, Said("echo-said")
        # What is still answered to an earlier press is of no interest.
        self._press = 0

    def send(self, _event):
        """Have the server echo it."""
        self._pressed()
        self._said.say("Waiting for response...")
        self._ask(document["echo-method"].value, [document["echo-text"].value], self._said.say)

    def send_to_celery(self, _event):
        """Have Celery echo it."""
        self._pressed()
        self._began, self._checks = window.performance.now(), 0
        self._said.say("Waiting for Celery id: ..")
        self._ask("celery_echo", [document["echo-method"].value, document["echo-text"].value], self._taken)

    def _pressed(self):
        self._press += 1

    def _ask(self, method, params, answered):
        press = self._press

        def if_asked(value):
            if press == self._press:
                answered(value)

        def unless_gone(text):
            if press == self._press:
                self._said.complain(text)

        self._server.call(method, params, if_asked, unless_gone)

    def _taken(self, result):
        self._said.say(f"Waiting for Celery id: {result['task_id']}")
        self._check_later(result["task_id"])

    def _check_later(self, task):
        press = self._press

        def check():
            if press == self._press:
                self._checks += 1
                self._ask("get_result", {"task_id": task}, self._checked)

        window.setTimeout(check, CHECK_MS)

    def _checked(self, result):
        task, state = result["task_id"], result["state"]
        if state == "SUCCESS":
            seconds = round((window.performance.now() - self._began) / 1000)
            self._said.say(f"Celery echo: {result['echo']}\nElapsed Time: {seconds}")
        elif state in ("PENDING", "STARTED"):
            why = f"\n{result['message']}" if "message" in result else ""
            self._said.say(f"Waiting for Celery (id, checkno): {task}, {self._checks}{why}")
            self._check_later(task)
        else:
            self._said.complain(f"Celery: {state}\n{result.get('message', '')}")


class Run:
    """A job is started and watched."""

    def __init__(self, server):
        self._server, self._said = server, Said("run-said")
        self._run, self._position = None, 0

    def start(self, _event):
        """Start what is chosen."""
        try:
            params = JSON.parse(document["params"].value)
        except Exception:
            self._said.complain("The parameters are no JSON.")
            return
        self._said.say("Starting ...")
        # A start that is sent again, by whatever lies between, is the same one.
        key = window.crypto.randomUUID()
        call = {"job": document["job"].value, "params": params, "key": key}
        self._server.call("runs.start", call, self._started, self._said.complain)

    def stop(self, _event):
        """Ask the run to stop."""
        self._server.call("runs.stop", {"run": self._run}, lambda _run: None, self._said.complain)

    def _started(self, run):
        self._run, self._position = run["id"], 0
        document["output"].text = ""
        document["stop"].disabled = False
        self._look(run["id"])

    def _look(self, run):
        if run != self._run:
            return

        def later(text=""):
            if text:
                self._said.complain(text)
            window.setTimeout(lambda: self._look(run), CHECK_MS if text else WATCH_MS)

        def looked(part):
            if run == self._run:
                self._show(part)
                if part["done"]:
                    document["stop"].disabled = True
                else:
                    later()

        self._server.call("runs.output", {"run": run, "after": self._position}, looked, later)

    def _show(self, part):
        text = "".join(self._text(record) for record in part["records"])
        if text:
            output = document["output"]
            output.text = (output.text + text)[-LONGEST_OUTPUT:]
            output.scrollTop = output.scrollHeight
        self._position = part["position"]
        run = part["run"]
        self._said.say(f"{run['title']}: {run['status']}. {run['message']}")

    def _text(self, record):
        if record["type"] == "omitted":
            return f"\n[{record['omitted']} bytes are missing here]\n"
        return record.get("data", "\ufffd")


class Page:
    """All of it."""

    def __init__(self):
        self._server, self._said = Server(), Said("server-said")
        echo, run = Echo(self._server), Run(self._server)
        for name, pressed in {
            "connect": self.connect,
            "echo-send": echo.send,
            "celery-send": echo.send_to_celery,
            "start": run.start,
            "stop": run.stop,
        }.items():
            document[name].bind("click", pressed)
            document[name].disabled = name in ("start", "stop")
        self._said.say("Python is ready.")

    def connect(self, _event):
        """Ask the server for its jobs."""
        self._said.say("Connecting ...")
        self._server.call("jobs.list", {}, self._connected, self._said.complain)

    def _connected(self, answer):
        chosen = document["job"]
        chosen.innerHTML = ""
        jobs = [job for job in answer["jobs"] if job["error"] is None]
        for job in jobs:
            option = document.createElement("option")
            option.value, option.text = job["name"], job["title"]
            chosen.appendChild(option)
        document["start"].disabled = not jobs
        self._said.say(f"Connected: {len(jobs)} jobs.")


Page()
