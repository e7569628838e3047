"""The foreign servers: how each is started with a tiny model of its own, and who calls it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.compatibility.environments import HERE, ROOT
from tests.ports import free_port

FOREIGN: Final = HERE / "foreign"
V2: Final = "{protocol: v2}"
# LiteLLM wants a key of its own otherwise, and it listens on loopback only.
OPEN: Final = "dangerously_permit_weak_or_unset_master_key"
PREDICT: Final = "{protocol: predict}"
SAGEMAKER: Final = "{protocol: sagemaker}"
OPENAI: Final = "{protocol: openai}"


@dataclass(frozen=True)
class Place:
    """Where one of the two instances of a server runs, and as what."""

    python: Path
    port: int
    folder: Path
    role: str  # stable or candidate
    version: str

    @property
    def bin(self) -> Path:
        return self.python.parent


Words = list[object]


@dataclass(frozen=True)
class Visit:
    """One client at one server."""

    client: str  # as people call it
    environment: str
    package: str | None  # None: part of the machine
    script: str
    caller: str
    count: int = 200
    reads: bool = True  # the gateway has to find a prediction in each answer


@dataclass(frozen=True)
class Server:
    """One foreign server. ``routes``: name, path that it matches, where its predictions stand."""

    name: str
    environment: str | None  # None: this project's own
    package: str | None
    protocol: str
    ready: str
    start: Callable[[Place], Words]
    visits: tuple[Visit, ...]
    routes: tuple[tuple[str, str, str], ...] = (("iris", "/", V2),)
    trained: tuple[str, str] | None = ("train.py", "model.joblib")  # by what, to which file
    names: tuple[str, str] = ("v1", "v2")
    environ: Mapping[str, str] = field(default_factory=dict)
    model: str = "iris"


TRITON: Final = Visit("tritonclient.http", "clients", "tritonclient", "triton.py", "sync")
TRITON_AIO: Final = Visit(
    "tritonclient.http.aio", "clients", "tritonclient", "triton.py", "asynchronous"
)
BOTO3: Final = Visit(
    "boto3 sagemaker-runtime", "clients", "boto3", "sagemaker.py", "invoke_endpoint"
)
OPENAI_SYNC: Final = Visit("openai", "clients", "openai", "chat.py", "sync")
OPENAI_ASYNC: Final = Visit("openai (async)", "clients", "openai", "chat.py", "asynchronous")
LANGCHAIN: Final = Visit(
    "LangChain ChatOpenAI", "langchain", "langchain-openai", "chat.py", "langchain"
)
REQUESTS: Final = Visit("requests", "clients", "requests", "plain.py", "requests")
HTTPX: Final = Visit("httpx", "clients", "httpx", "plain.py", "httpx")
AIOHTTP: Final = Visit("aiohttp", "clients", "aiohttp", "plain.py", "aiohttp")
URLLIB3: Final = Visit("urllib3", "clients", "urllib3", "plain.py", "urllib3")
HTTP_CLIENT: Final = Visit("http.client", "clients", None, "plain.py", "http_client")
CURL: Final = Visit("curl", "clients", None, "plain.py", "curl")
FETCH: Final = Visit("Node's fetch", "clients", None, "fetch.mjs", "fetch")
PLAIN: Final = (REQUESTS, HTTPX, AIOHTTP, URLLIB3, HTTP_CLIENT, CURL, FETCH)


def _mlserver(place: Place) -> Words:
    settings = {
        "host": "127.0.0.1",
        "http_port": place.port,
        "grpc_port": free_port(),
        "metrics_port": free_port(),
        "parallel_workers": 0,
        "debug": False,
    }
    model = {
        "name": "iris",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": "./model.joblib", "version": place.version},
    }
    (place.folder / "settings.json").write_text(json.dumps(settings))
    (place.folder / "model-settings.json").write_text(json.dumps(model))
    return [place.bin / "mlserver", "start", place.folder]


def _mlserver_stream(place: Place) -> Words:
    _mlserver(place)
    settings = json.loads((place.folder / "settings.json").read_text())
    # As MLServer's documentation has it for answers in pieces.
    (place.folder / "settings.json").write_text(
        json.dumps(settings | {"gzip_enabled": False, "metrics_endpoint": None})
    )
    model = {"name": "iris", "implementation": "mlserver_words.Words"}
    (place.folder / "model-settings.json").write_text(
        json.dumps(model | {"parameters": {"version": place.version}})
    )
    return [place.bin / "mlserver", "start", place.folder]


def _kserve(place: Place) -> Words:
    return [place.python, FOREIGN / "kserve_app.py", "--http_port", place.port]


def _triton(place: Place) -> Words:
    ports = [place.port, free_port(), free_port()]
    return [place.python, FOREIGN / "triton_server.py", *ports, place.folder, place.version]


def _bentoml(place: Place) -> Words:
    words = [place.bin / "bentoml", "serve", "bento_app:Iris", "--working-dir", FOREIGN]
    return [*words, "--host", "127.0.0.1", "--port", place.port]


def _mlflow(place: Place) -> Words:
    words = [place.bin / "mlflow", "models", "serve", "--model-uri", place.folder / "saved"]
    return [*words, "--env-manager", "local", "--host", "127.0.0.1", "--port", place.port]


def _ray(place: Place) -> Words:
    return [place.python, FOREIGN / "ray_app.py", place.port]


def _litserve(kind: str) -> Callable[[Place], Words]:
    return lambda place: [place.python, FOREIGN / "litserve_app.py", place.port, kind]


def _litellm(place: Place) -> Words:
    told = {"model": "openai/nobody", "api_key": "none", "mock_response": f"I am {place.version}."}
    models = [{"model_name": "iris", "litellm_params": told}]
    file = place.folder / "litellm.yaml"
    file.write_text(
        json.dumps({"model_list": models, "general_settings": {OPEN: True}})
    )  # JSON is YAML
    words = [place.bin / "litellm", "--config", file, "--host", "127.0.0.1"]
    return [*words, "--port", place.port, "--telemetry", "False"]


def _llama(place: Place) -> Words:
    words = [place.python, "-m", "llama_cpp.server", "--model", place.folder / "tiny.gguf"]
    return [*words, "--n_ctx", 512, "--host", "127.0.0.1", "--port", place.port]


def _uvicorn(place: Place) -> Words:
    words = [place.bin / "uvicorn", "fastapi_app:app", "--app-dir", FOREIGN]
    return [*words, "--host", "127.0.0.1", "--port", place.port, "--log-level", "warning"]


def _gunicorn(module: str) -> Callable[[Place], Words]:
    def words(place: Place) -> Words:
        # Without threads gunicorn's ordinary worker serves one connection for one request.
        options = ["--workers", 1, "--threads", 4, "--bind", f"127.0.0.1:{place.port}"]
        return [place.bin / "gunicorn", *options, "--chdir", FOREIGN, f"{module}:app"]

    return words


def _own(model: str) -> Callable[[Place], Words]:
    def words(place: Place) -> Words:
        words = [sys.executable, "-m", "model_workers", "serve", "--model", model]
        words += ["--version", place.version, "--port", place.port]
        return [*words, "--artefacts", ROOT / "artefacts"]

    return words


KSERVE_V1: Final = Visit(
    "kserve InferenceRESTClient, V1", "kserve", "kserve", "kserve_client.py", "v1"
)
KSERVE_V2: Final = Visit(
    "kserve InferenceRESTClient, V2", "kserve", "kserve", "kserve_client.py", "v2"
)
INFER: Final = Visit("mlserver infer", "mlserver", "mlserver", "mlserver_cli.py", "infer")
STREAMS: Final = Visit(
    "httpx, server-sent events", "clients", "httpx", "events.py", "events", 50, reads=False
)

OIP: Final = "Open Inference Protocol v2"
SERVERS: Final = {
    "model_workers": Server(
        "this project's model_workers",
        None,
        None,
        f"/predict, {OIP}, SageMaker",
        "/ready",
        _own("iris"),
        (*PLAIN, TRITON, TRITON_AIO, BOTO3),
        (
            ("oip", "/v2", V2),
            ("plain", "/predict", PREDICT),
            ("iris", "/", SAGEMAKER),
        ),
        trained=None,
        environ={"PYTHONPATH": str(ROOT)},
    ),
    "assistant": Server(
        "this project's model_workers, assistant",
        None,
        None,
        "OpenAI chat",
        "/ready",
        _own("assistant"),
        (OPENAI_SYNC, OPENAI_ASYNC, LANGCHAIN),
        (("chat", "/", OPENAI),),
        trained=None,
        environ={"PYTHONPATH": str(ROOT)},
        model="assistant",
    ),
    "mlserver": Server(
        "MLServer, sklearn runtime",
        "mlserver",
        "mlserver",
        OIP,
        "/v2/health/ready",
        _mlserver,
        (TRITON, TRITON_AIO, INFER, KSERVE_V2),
        names=("1", "2"),
    ),
    "mlserver-stream": Server(
        "MLServer, runtime of one's own",
        "mlserver",
        "mlserver",
        "infer_stream, generate_stream",
        "/v2/health/ready",
        _mlserver_stream,
        (STREAMS,),
        trained=None,
        names=("1", "2"),
    ),
    "triton": Server(
        "NVIDIA Triton (nvidia-pytriton)",
        "triton",
        "nvidia-pytriton",
        OIP,
        "/v2/models/iris/ready",
        _triton,
        (TRITON, TRITON_AIO),
        names=("1", "2"),
    ),
    "kserve": Server(
        "KServe model server",
        "kserve",
        "kserve",
        f"V1, {OIP}",
        "/v2/health/ready",
        _kserve,
        (KSERVE_V1, KSERVE_V2, TRITON),
        (("v2", "/v2", V2), ("v1", "/v1", "{label: /predictions/0}"), ("rest", "/", V2)),
    ),
    "bentoml": Server(
        "BentoML",
        "bentoml",
        "bentoml",
        "plain JSON",
        "/readyz",
        _bentoml,
        (REQUESTS, HTTPX),
        (("iris", "/", PREDICT),),
        environ={"BENTOML_DO_NOT_TRACK": "True"},
    ),
    "mlflow": Server(
        "MLflow models serve",
        "mlflow",
        "mlflow",
        "/invocations, /ping",
        "/ping",
        _mlflow,
        (BOTO3,),
        (("iris", "/", SAGEMAKER),),
        trained=("mlflow_save.py", "saved"),
    ),
    "sagemaker": Server(
        "sagemaker-inference's encoders behind gunicorn",
        "sagemaker",
        "sagemaker-inference",
        "/invocations, /ping",
        "/ping",
        _gunicorn("sagemaker_app"),
        (BOTO3,),
        (("iris", "/", SAGEMAKER),),
    ),
    "ray": Server(
        "Ray Serve",
        "ray",
        "ray",
        "plain JSON",
        "/ready",
        _ray,
        (REQUESTS, AIOHTTP),
        (("iris", "/", PREDICT),),
        environ={"RAY_USAGE_STATS_ENABLED": "0"},
    ),
    "litserve": Server(
        "LitServe",
        "litserve",
        "litserve",
        "plain JSON",
        "/health",
        _litserve("predict"),
        (REQUESTS, HTTPX),
        (("iris", "/", PREDICT),),
    ),
    "litserve-chat": Server(
        "LitServe, OpenAISpec",
        "litserve",
        "litserve",
        "OpenAI chat",
        "/health",
        _litserve("chat"),
        (OPENAI_SYNC, OPENAI_ASYNC),
        (("chat", "/", OPENAI),),
        trained=None,
    ),
    "litellm": Server(
        "LiteLLM proxy, mock responses",
        "litellm",
        "litellm",
        "OpenAI chat",
        "/health/readiness",
        _litellm,
        (OPENAI_SYNC, OPENAI_ASYNC, LANGCHAIN),
        (("chat", "/", OPENAI),),
        trained=None,
        environ={"LITELLM_LOCAL_MODEL_COST_MAP": "True"},
    ),
    "llama": Server(
        "llama.cpp (llama-cpp-python), random weights",
        "llama",
        "llama-cpp-python",
        "OpenAI chat",
        "/v1/models",
        _llama,
        (OPENAI_SYNC,),
        (("chat", "/", OPENAI),),
        trained=("tiny_gguf.py", "tiny.gguf"),
    ),
    "fastapi": Server(
        "FastAPI on uvicorn",
        "plain",
        "fastapi",
        "plain JSON",
        "/ready",
        _uvicorn,
        PLAIN,
        (("iris", "/", PREDICT),),
    ),
    "flask": Server(
        "Flask on gunicorn",
        "plain",
        "gunicorn",
        "plain JSON, /invocations",
        "/ready",
        _gunicorn("flask_app"),
        (*PLAIN, BOTO3),
        (("plain", "/predict", PREDICT), ("iris", "/", SAGEMAKER)),
    ),
}

# Named here, so that nobody has to guess: what is not run, and why.
NOT_RUN: Final = {
    "TensorFlow Serving": "comes as a container, not as a Python package",
    "Triton with GPUs and its other backends": "a GPU is needed; its server and wire are run above",
    "TorchServe": "needs Java, which no Python package brings; it is no longer maintained",
    "sagemaker-inference under Multi Model Server": "needs Java; its encoders are run above",
    "vLLM, TGI": "need a GPU and the weights of a language model",
    "Seldon Core, KServe in a cluster": "need Kubernetes; the servers they start are run above",
    "boto3 invoke_endpoint_with_response_stream": "reads AWS's own framing of events, which "
    "SageMaker puts around what a container answers: no container and no gateway speaks it",
    "Go's and Java's clients": "their toolchains are not installed here; Java's asks for HTTP/2 "
    "as curl does above",
    "gRPC clients": "the gateway speaks HTTP/1.1",
}
