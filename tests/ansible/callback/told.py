"""Tells what a run of Ansible came to, as tests/ansible.rs tells it of a run of tbctl: by host, in order."""

import json

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = "name: told\ntype: stdout\nshort_description: outcomes by host\n"

OF_THE_RUN = {"changed", "failed", "skipped", "skip_reason", "false_condition", "invocation", "exception", "warnings"}


def said(result):
    """What a task says itself: everything of `debug`, the message of what failed."""
    return {key: value for key, value in result.items() if key not in OF_THE_RUN and not key.startswith("_ansible")}


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "told"

    def __init__(self):
        super().__init__()
        self.lines = {}

    def line(self, result, outcome):
        task, fields = result._task, result._result
        kind = task.action.rsplit(".", 1)[-1]
        text = f"{task.name or kind}: {outcome}"
        if kind == "debug" and outcome in ("ok", "changed"):
            items = fields.get("results")
            words = [said(item) for item in items] if items is not None else said(fields)
            if items is not None:
                for word in words:
                    word.pop(word.pop("ansible_loop_var", "item"), None)
                    word.pop("ansible_loop", None)
                    word.pop(word.pop("ansible_index_var", ""), None)
            text += " " + json.dumps(words, sort_keys=True, ensure_ascii=False)
        self.lines.setdefault(result._host.get_name(), []).append(text)

    def v2_runner_on_ok(self, result):
        self.line(result, "changed" if result._result.get("changed") else "ok")

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self.line(result, "ignored" if ignore_errors else "failed")

    def v2_runner_on_skipped(self, result):
        self.line(result, "skipped")

    def v2_runner_on_unreachable(self, result):
        self.line(result, "unreachable")

    def v2_playbook_on_stats(self, stats):
        for host in sorted(set(self.lines) | set(stats.processed)):
            for line in self.lines.get(host, []):
                self._display.display(f"{host}  {line}")
            count = stats.summarize(host)
            names = {"failures": "failed"}
            words = ["ok", "changed", "unreachable", "failures", "skipped", "rescued", "ignored"]
            self._display.display(f"{host}  " + " ".join(f"{names.get(word, word)}={count[word]}" for word in words))
