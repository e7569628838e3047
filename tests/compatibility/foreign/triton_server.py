"""``triton_server.py HTTP GRPC METRICS FOLDER VERSION``: the real ``tritonserver``, as the wheel of
nvidia-pytriton brings it, with a model of its Python backend. It becomes that program.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path

import pytriton

CONFIG = """
name: "iris"
backend: "python"
max_batch_size: 256
version_policy: {all: {}}
input [{name: "input-0", data_type: TYPE_FP32, dims: [4]}]
output [{name: "predict", data_type: TYPE_INT64, dims: [1]}]
instance_group [{kind: KIND_CPU, count: 1}]
"""

if __name__ == "__main__":
    http, grpc, metrics, folder, version = sys.argv[1:]
    home = Path(pytriton.__file__).parent / "tritonserver"
    packages = Path(sysconfig.get_paths()["purelib"])
    repository = Path(folder) / "models"
    place = repository / "iris" / version
    place.mkdir(parents=True)
    (repository / "iris" / "config.pbtxt").write_text(CONFIG)
    shutil.copy(Path(__file__).parent / "triton_model.py", place / "model.py")
    # The stub of this Python's version runs the model; its libraries lie beside those of the wheel.
    backends = Path(folder) / "backends"
    shutil.copytree(home / "backends", backends)
    stub = home / "python_backend_stubs" / f"{sys.version_info[0]}.{sys.version_info[1]}"
    shutil.copy(stub / "triton_python_backend_stub", backends / "python")
    libraries = [packages / "nvidia_pytriton.libs", Path(sysconfig.get_config_var("LIBDIR"))]
    path = os.pathsep.join([str(packages), os.environ.get("PYTHONPATH", "")])
    os.execve(
        home / "bin" / "tritonserver",
        [
            "tritonserver",
            f"--model-repository={repository}",
            f"--backend-directory={backends}",
            "--http-address=127.0.0.1",
            f"--http-port={http}",
            "--grpc-address=127.0.0.1",
            f"--grpc-port={grpc}",
            "--metrics-address=127.0.0.1",
            f"--metrics-port={metrics}",
            # Two servers on one machine share its memory by name.
            f"--backend-config=python,shm-region-prefix-name=canary{http}",
        ],
        {
            **os.environ,
            "LD_LIBRARY_PATH": os.pathsep.join(map(str, libraries)),
            "PYTHONPATH": path,
        },
    )
