"""A runtime of one's own for MLServer, which answers in pieces."""

from __future__ import annotations

from collections.abc import AsyncIterator

from mlserver import MLModel
from mlserver.codecs import StringCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Words(MLModel):
    async def load(self) -> bool:
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        return self._say("all at once")

    async def predict_stream(
        self, payloads: AsyncIterator[InferenceRequest]
    ) -> AsyncIterator[InferenceResponse]:
        async for _ in payloads:
            for word in ("one", "after", "the", "other"):
                yield self._say(word)

    def _say(self, text: str) -> InferenceResponse:
        output = StringCodec.encode_output("output", [text])
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=[output])
