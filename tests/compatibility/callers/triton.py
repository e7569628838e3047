"""NVIDIA's client for the Open Inference Protocol: ``tritonclient.http``, both its kinds."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import tritonclient.http as sync_client
import tritonclient.http.aio as async_client
from told import OTHER, ROW, Told, classes, label, row, run

TENSOR = "input-0"
KINDS = [("JSON", False, False), ("binary", True, True), ("JSON in, binary out", False, True)]


def address(url: str) -> str:
    return url.removeprefix("http://")


def tensor(module: Any, rows: list[list[float]], binary: bool) -> list[Any]:
    given = module.InferInput(TENSOR, [len(rows), len(rows[0])], "FP32")
    given.set_data_from_numpy(np.array(rows, dtype=np.float32), binary_data=binary)
    return [given]


def first(result: Any) -> list[int]:
    """The first output, whatever the server calls it."""
    name = result.get_response()["outputs"][0]["name"]
    return classes(np.ravel(result.as_numpy(name)).tolist())


def sync(told: Told) -> None:
    clients = {url: sync_client.InferenceServerClient(address(url)) for url in _urls(told)}
    model = told.model
    outputs: dict[str, str] = {}

    def infer(url: str, rows: list[list[float]], given: bool, taken: bool, **more: Any) -> Any:
        # Who asks for an output in so many words asks for it in binary or not.
        wanted = [sync_client.InferRequestedOutput(outputs[model], binary_data=taken)]
        inputs = tensor(sync_client, rows, given)
        return clients[url].infer(model, inputs, outputs=wanted, **more)

    def metadata(url: str) -> tuple[list[str], list[str]]:
        found = clients[url].get_model_metadata(model)
        outputs[model] = found["outputs"][0]["name"] if found["outputs"] else "predict"
        return [one["datatype"] for one in found["inputs"]], [o["name"] for o in found["outputs"]]

    told.same(
        "live, ready", lambda url: (clients[url].is_server_live(), clients[url].is_server_ready())
    )
    told.same("server metadata", lambda url: clients[url].get_server_metadata()["name"])
    told.same("model metadata", metadata)
    told.same("model ready", lambda url: clients[url].is_model_ready(model))
    outputs.setdefault(model, "predict")
    told.same(
        "default infer",
        lambda url: first(clients[url].infer(model, tensor(sync_client, [ROW, OTHER], True))),
    )
    for what, given, taken in KINDS:
        told.same(what, lambda url, g=given, t=taken: first(infer(url, [ROW, OTHER], g, t)))
    for coding in ("gzip", "deflate"):
        for what, binary in (("JSON", False), ("binary", True)):
            ask = lambda url, c=coding, b=binary: first(  # noqa: E731
                infer(url, [ROW, OTHER], b, b, request_compression_algorithm=c)
            )
            told.same(f"{what} request in {coding}", ask)
            ask = lambda url, c=coding, b=binary: first(  # noqa: E731
                infer(url, [ROW] * 200, b, b, response_compression_algorithm=c)
            )
            told.same(f"{what} answer in {coding}", ask)
    kinds = told.able("JSON", "binary")
    if not kinds:
        return
    binary = "binary" in kinds

    def named(url: str) -> object:
        return infer(url, [ROW], binary, binary, request_id="seven").get_response()["id"]

    told.same("request id", named)
    told.same("unknown model", lambda url: _refusal(clients[url]))

    def versioned(url: str, version: str) -> str:
        result = infer(url, [ROW], binary, binary, model_version=version)
        found = str(result.get_response()["model_version"])
        assert found == version, found
        return found

    def often(url: str) -> None:
        for _ in range(20):
            versioned(url, told.candidate)

    told.same("model_version", lambda url: versioned(url, told.stable))
    if "model_version" not in told.beyond:
        told.holds("model_version forces the version", often)

    def ask(url: str, number: int) -> None:
        given = kinds[number % len(kinds)] == "binary"
        assert first(infer(url, [row(number)], given, given)) == [label(number)]

    told.load(" and ".join(kinds), ask)


def _refusal(client: Any) -> str:
    try:
        client.infer("nobody", tensor(sync_client, [ROW], False))
    except sync_client.InferenceServerException as error:
        return str(error.status())
    raise AssertionError("an unknown model was answered")


def _urls(told: Told) -> set[str]:
    return {told.gateway, told.direct}


def asynchronous(told: Told) -> None:
    asyncio.run(_asynchronous(told))


async def _asynchronous(told: Told) -> None:
    clients = {url: async_client.InferenceServerClient(address(url)) for url in _urls(told)}

    async def infer(url: str, rows: list[list[float]], binary: bool, **more: Any) -> list[int]:
        inputs = tensor(async_client, rows, binary)
        wanted = [async_client.InferRequestedOutput(output, binary_data=binary)]
        return first(await clients[url].infer(told.model, inputs, outputs=wanted, **more))

    async def ask(url: str, number: int) -> None:
        given = kinds[number % len(kinds)] == "binary"
        assert await infer(url, [row(number)], given) == [label(number)]

    try:
        await told.same_async("live", lambda url: clients[url].is_server_live())
        await told.same_async("model ready", lambda url: clients[url].is_model_ready(told.model))
        found = await clients[told.direct].get_model_metadata(told.model)
        output = found["outputs"][0]["name"] if found["outputs"] else "predict"
        await told.same_async("JSON", lambda url: infer(url, [ROW, OTHER], False))
        await told.same_async("binary", lambda url: infer(url, [ROW, OTHER], True))
        kinds = told.able("JSON", "binary")
        if not kinds:
            return
        binary = "binary" in kinds
        for coding in ("gzip", "deflate"):
            more = {"request_compression_algorithm": coding}
            await told.same_async(
                f"request in {coding}", lambda u, m=more: infer(u, [ROW], binary, **m)
            )
            more = {"response_compression_algorithm": coding}
            await told.same_async(
                f"answer in {coding}", lambda u, m=more: infer(u, [ROW] * 200, binary, **m)
            )
        await told.load_async(" and ".join(kinds), ask)
    finally:
        for client in clients.values():
            await client.close()


if __name__ == "__main__":
    run(sync=sync, asynchronous=asynchronous)
