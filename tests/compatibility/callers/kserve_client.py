"""KServe's own client, ``InferenceRESTClient``, in protocol v1 and v2."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput
from told import OTHER, ROW, Told, label, row, run


def v1(told: Told) -> None:
    asyncio.run(_ask(told, "v1"))


def v2(told: Told) -> None:
    asyncio.run(_ask(told, "v2"))


def request_of(protocol: str, model: str, rows: list[list[float]], binary: bool) -> Any:
    if protocol == "v1":
        return {"instances": rows}
    tensor = InferInput("input-0", [len(rows), 4], "FP32")
    tensor.set_data_from_numpy(np.array(rows, dtype=np.float32), binary_data=binary)
    outputs = [RequestedOutput("predict", {"binary_data": binary})]
    return InferRequest(model, [tensor], request_outputs=outputs)


def predicted(answer: Any) -> list[int]:
    if isinstance(answer, dict):
        return [int(value) for value in answer["predictions"]]
    return [int(value) for value in np.ravel(answer.outputs[0].as_numpy())]


async def _ask(told: Told, protocol: str) -> None:
    client = InferenceRESTClient(RESTConfig(protocol=protocol, retries=0, timeout=60))

    async def infer(url: str, rows: list[list[float]], binary: bool = False) -> list[int]:
        asked = request_of(protocol, told.model, rows, binary)
        return predicted(await client.infer(url, asked, model_name=told.model))

    async def ask(url: str, number: int) -> None:
        assert await infer(url, [row(number)], number % 2 == 0 and binary) == [label(number)]

    try:
        await told.same_async("infer", lambda url: infer(url, [ROW, OTHER]))
        await told.same_async("live", client.is_server_live)
        await told.same_async("ready", client.is_server_ready)
        await told.same_async("model ready", lambda url: client.is_model_ready(url, told.model))
        if protocol == "v2":
            await told.same_async("binary", lambda url: infer(url, [ROW, OTHER], True))
        binary = protocol == "v2" and "binary" not in told.beyond
        await told.load_async("JSON and binary in turn" if binary else "JSON", ask)
    finally:
        await client.close()


if __name__ == "__main__":
    run(v1=v1, v2=v2)
