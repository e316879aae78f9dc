"""A strategy that runs playbooks without any node.

Ansible itself evaluates all conditions, loops, arguments and templates, checks roles' arguments and files, and takes hosts
through blocks and handlers. But no module runs: a host has a variable `facts`, and a task succeeds with a result that a
variable `results` may change, by the name under which the task is registered.

IMGSPEC_EVALUATED names a folder for what happened: `tasks.jsonl` with a line for each task and host, `all.json` with the
places and names of all tasks that the playbooks and roles have, and `files/HOST/…` with what templates and copies would write.
"""

import glob
import json
import os

from ansible.executor.task_executor import TaskExecutor
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import action_loader
from ansible.plugins.strategy.linear import StrategyModule as Linear
from ansible.plugins import loader as plugin_loader

FOLDER = os.environ["IMGSPEC_EVALUATED"]
# They need no node, and run as they are.
REAL = {"assert", "debug", "fail", "set_fact", "validate_argument_spec"}
TEMPLATES = {"template", "win_template"}
COPIES = {"copy", "win_copy"}
# What a result has besides `changed`, so that later tasks find it.
RESULTS = {
    "stat": {"stat": {"exists": True, "checksum": ""}},
    "win_stat": {"stat": {"exists": True, "checksum": ""}},
    "find": {"files": []},
    "win_feature": {"reboot_required": True},
}
OUTPUT = {"rc": 0, "stdout": "", "stdout_lines": [], "stderr": ""}


class Handler:
    """Stands in for the action of a task."""

    def __init__(self, executor, templar):
        self.executor, self.task, self.templar = executor, executor._task, templar
        self.name = self.task.resolved_action.rpartition(".")[2]

    def action(self, name, shared=None):
        return action_loader.get(
            "ansible.builtin." + name,
            task=self.task,
            connection=self.executor._connection,
            play_context=self.executor._play_context,
            loader=self.executor._loader,
            templar=self.templar,
            shared_loader_obj=shared or self.executor._shared_loader_obj,
        )

    def run(self, task_vars=None):
        if self.name in ("setup", "gather_facts"):
            return {"ansible_facts": {"ansible_" + k: v for k, v in task_vars["facts"].items()}}
        if self.name in TEMPLATES:
            template = self.action("template", Shared(self, task_vars))
            template.TRANSFERS_FILES = False
            result = template.run(task_vars=task_vars)
            if result.get("failed"):
                return result
        elif self.name in COPIES and not self.task.args.get("remote_src"):
            content = self.task.args.get("content")
            if content is None:
                source = self.action("copy")._find_needle("files", self.task.args["src"])
                with open(source, encoding="utf-8", errors="replace") as file:
                    content = file.read()
            self.write(content, task_vars)
        elif self.name == "script":
            self.action("copy")._find_needle("files", self.task.args.get("cmd") or self.task.args["_raw_params"])
        result = dict(OUTPUT, changed=True, msg="")
        result.update(RESULTS.get(self.name, {}))
        result.update(task_vars.get("results", {}).get(self.task.register, {}))
        if result["stdout"]:
            result["stdout_lines"] = result["stdout"].splitlines()
        if result["rc"] != 0:
            result["failed"] = True
        return result

    def write(self, content, task_vars):
        place = self.task.args["dest"].replace("\\", "/").replace(":", "").lstrip("/")
        path = os.path.join(FOLDER, "files", task_vars["inventory_hostname"], place)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(content if isinstance(content, str) else json.dumps(content))

    def cleanup(self, force=False):
        pass


class Shared:
    """Gives the action of templates something in the place of the action that copies their result to the node."""

    def __init__(self, handler, task_vars):
        self.action_loader, self.handler, self.task_vars = self, handler, task_vars

    def get(self, name, task=None, **_):
        self.source = task.args["src"]
        return self

    def run(self, task_vars=None):
        with open(self.source, encoding="utf-8") as file:
            self.handler.write(file.read(), self.task_vars)
        return {"changed": True}


def get_handler(executor, templar):
    handler = Handler(executor, templar)
    if handler.name in REAL:
        return handler.action(handler.name), None
    return handler, None


TaskExecutor._get_action_handler_with_module_context = get_handler


def leaves(tasks):
    for task in tasks or []:
        inner = [task[key] for key in ("block", "rescue", "always", "tasks") if key in task]
        for part in inner:
            yield from leaves(part)
        # What is imported is no task of its own, and the engine keeps `meta` for itself.
        if not inner and "hosts" not in task:
            if not any("import_" in key or key.endswith(".meta") for key in task):
                yield "%s:%s" % task.ansible_pos[:2], task.get("name", "")


class StrategyModule(Linear):
    def __init__(self, tqm):
        super().__init__(tqm)
        root = self._loader.get_basedir()
        files = ["*.yml", "tasks/*.yml", "roles/*/tasks/*.yml", "roles/*/handlers/*.yml"]
        places = []
        for path in sorted(sum((glob.glob(os.path.join(root, pattern)) for pattern in files), [])):
            content = DataLoader().load_from_file(path)
            if isinstance(content, list):
                places += [(os.path.relpath(place, root), name) for place, name in leaves(content)]
        with open(os.path.join(FOLDER, "all.json"), "w", encoding="utf-8") as file:
            json.dump(places, file)
        self.root = root

    def _queue_task(self, host, task, task_vars, play_context):
        """Runs the task here and not in a process of its own."""
        self._queued_task_cache[(host.name, task._uuid)] = {
            "host": host,
            "task": task,
            "task_vars": task_vars,
            "play_context": play_context,
        }
        mine = task.copy(exclude_parent=True, exclude_tasks=True)
        mine._parent = task._parent
        executor = TaskExecutor(
            host, mine, task_vars, play_context, None, self._loader, plugin_loader, self._final_q, self._variable_manager
        )
        result = executor.run()
        items = result.get("results") if isinstance(result.get("results"), list) else None
        with open(os.path.join(FOLDER, "tasks.jsonl"), "a", encoding="utf-8") as file:
            for one in items if items is not None else [result]:
                if isinstance(one, dict):
                    line = {
                        "host": host.name,
                        "task": task.get_name(),
                        "place": os.path.relpath(task.get_path(), self.root) if task.get_path() else "",
                        "ran": not one.get("skipped", False),
                        # A return code is what nodes.json asks for; what must not fail ends the play.
                        "failed": str(one.get("msg", one)) if one.get("failed") and not one.get("rc") else None,
                    }
                    file.write(json.dumps(line) + "\n")
        self._final_q.send_task_result(host.name, task._uuid, result, task_fields=mine.dump_attrs())
        self._pending_results += 1
