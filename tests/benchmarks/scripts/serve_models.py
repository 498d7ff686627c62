"""Python processes that call one model at the same time: ``serve_models.py MODEL CALLS PROCESSES``, as JSON."""

import json
import subprocess
import sys
from pathlib import Path

model, calls, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
command = [sys.executable, str(Path(__file__).with_name("serve_model.py")), model, calls]
children = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(count)]
for child in children:
    assert child.stdout is not None
    child.stdout.readline()
for child in children:
    assert child.stdin is not None
    child.stdin.write("\n")
    child.stdin.flush()
seconds = max(json.loads(child.communicate()[0])["seconds"] for child in children)
print(json.dumps({"calls_per_second": int(calls) * count / seconds}))
