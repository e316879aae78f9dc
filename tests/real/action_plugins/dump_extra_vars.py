"""Writes every extra var, templated as a task would see it, to a JSON file that keeps the types."""

import json

from ansible.plugins.action import ActionBase
from ansible.utils.vars import load_extra_vars


def plain(value):
    """The same value without Ansible's own string, list and dict classes."""
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, str) else value


class ActionModule(ActionBase):
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        found = {}
        for name in load_extra_vars(self._loader):
            try:
                found[name] = plain(self._templar.template(task_vars[name]))
            except Exception as error:  # One bad value must not hide the others.
                found[name] = {"!error": str(error)}
        with open(self._task.args["dest"], "w", encoding="utf-8") as file:
            json.dump(found, file)
        return result
