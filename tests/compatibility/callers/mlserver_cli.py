"""``mlserver infer``, the command that asks for what stands in a file line by line."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from told import Told, label, row, run


def infer(told: Told) -> None:
    def of_a_file(url: str) -> list[list[int]]:
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder) / "in.jsonl", Path(folder) / "out.jsonl"
            lines = (
                json.dumps(
                    {
                        "inputs": [
                            {
                                "name": "input-0",
                                "shape": [1, 4],
                                "datatype": "FP64",
                                "data": row(number),
                            }
                        ]
                    }
                )
                for number in range(told.count)
            )
            source.write_text("\n".join(lines) + "\n")
            words = [str(Path(sys.executable).parent / "mlserver"), "infer"]
            words += ["--url", url.removeprefix("http://"), "--model-name", told.model]
            words += ["--input-data-path", str(source), "--output-data-path", str(target)]
            words += ["--workers", "2"]
            done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
            assert done.returncode == 0, (done.stdout + done.stderr)[-500:]
            answers = [json.loads(line) for line in target.read_text().splitlines()]
            in_order = sorted(answers, key=lambda one: one["parameters"]["batch_index"])
            return [one["outputs"][0]["data"] for one in in_order]

    told.due = told.count
    told.same(f"a file of {told.count} lines", of_a_file)
    told.holds("right answers", lambda url: _right(of_a_file(url), told.count))


def _right(answers: list[list[int]], count: int) -> None:
    assert answers == [[label(number)] for number in range(count)], answers[:5]


if __name__ == "__main__":
    run(infer=infer)
