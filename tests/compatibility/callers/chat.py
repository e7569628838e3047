"""OpenAI's own library, and LangChain on top of it, against chat completions."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from openai import AsyncOpenAI, OpenAI
from told import Told, run

SHORT = 8  # tokens
ASKED: Any = [{"role": "user", "content": "Say something."}]


def client_of(url: str) -> OpenAI:
    return OpenAI(base_url=f"{url}/v1", api_key="sk-nobody", max_retries=0, timeout=60)


def sync(told: Told) -> None:
    clients = {url: client_of(url) for url in (told.gateway, told.direct)}

    def chat(url: str, **more: Any) -> Any:
        return clients[url].chat.completions.create(
            model=told.model, messages=ASKED, max_tokens=SHORT, **more
        )

    def whole(url: str) -> tuple[str, bool]:
        answer = chat(url)
        return answer.choices[0].finish_reason, bool(answer.choices[0].message.content)

    def streamed(url: str, **more: Any) -> tuple[str, bool, bool]:
        """Reason, whether there was a text, whether tokens were counted."""
        reason, text, usage = "", "", False
        for event in chat(url, stream=True, **more):
            usage = usage or event.usage is not None
            for choice in event.choices:
                reason = choice.finish_reason or reason
                text += choice.delta.content or ""
        return reason, bool(text), usage

    def left(url: str) -> bool:
        with chat(url, stream=True) as stream:
            next(iter(stream))
        return True

    def counted(url: str) -> tuple[str, bool, bool]:
        return streamed(url, stream_options={"include_usage": True})

    def one_version(url: str, number: int) -> Mapping[str, Any]:
        raw = clients[url].chat.completions.with_raw_response.create(
            model=told.model, messages=ASKED, max_tokens=SHORT
        )
        assert raw.parse().choices[0].finish_reason
        return raw.headers

    def one_stream(url: str, number: int) -> Mapping[str, Any]:
        with clients[url].chat.completions.with_streaming_response.create(
            model=told.model, messages=ASKED, max_tokens=SHORT, stream=True
        ) as answer:
            last = [line for line in answer.iter_lines() if line][-1]
            assert last == "data: [DONE]", last
            return answer.headers

    told.same("chat", whole)
    told.same("stream", streamed)
    told.same("stream with include_usage", counted)
    told.same("leaving mid-stream", left)
    told.same("models", lambda url: bool(clients[url].models.list().data))
    told.load("chat", one_version)
    told.count //= 4
    told.load("stream", one_stream)


def asynchronous(told: Told) -> None:
    asyncio.run(_asynchronous(told))


async def _asynchronous(told: Told) -> None:
    client = AsyncOpenAI(
        base_url=f"{told.gateway}/v1", api_key="sk-nobody", max_retries=0, timeout=60
    )

    async def stream(number: int) -> str:
        reason = ""
        events: Any = await client.chat.completions.create(
            model=told.model,
            messages=ASKED,
            stream=True,
            stream_options={"include_usage": True},
        )
        async for event in events:
            for choice in event.choices:
                reason = choice.finish_reason or reason
            if number % 4 == 3:  # it leaves
                await events.close()
                return "left"
        return reason

    async def chat(url: str, number: int) -> Mapping[str, Any]:
        raw = await client.chat.completions.with_raw_response.create(
            model=told.model, messages=ASKED, max_tokens=SHORT
        )
        return raw.headers

    reasons = await asyncio.gather(*(stream(number) for number in range(20)))

    def streams(url: str) -> None:
        assert reasons.count("left") == 5, reasons
        assert len(set(reasons)) == 2, reasons

    told.due += 15
    told.holds("20 streams at once, 5 of them left", streams)
    await told.load_async("chat", chat)
    await client.close()


def langchain(told: Told) -> None:
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(
        model=told.model, base_url=f"{told.gateway}/v1", api_key="sk-nobody", max_retries=0
    )

    def invoked(url: str) -> None:
        assert model.invoke("Say something.").content

    def streamed(url: str) -> None:
        assert "".join(str(part.content) for part in model.stream("Say something."))

    told.holds("invoke", invoked)
    told.holds("stream", streamed)
    told.load("invoke", lambda url, number: invoked(url))


if __name__ == "__main__":
    run(sync=sync, asynchronous=asynchronous, langchain=langchain)
