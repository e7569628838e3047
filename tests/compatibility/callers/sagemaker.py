"""boto3's ``sagemaker-runtime``: the endpoint is the route, its variants are the versions."""

from __future__ import annotations

import json
from typing import Any

import boto3
from botocore.config import Config
from told import OTHER, ROW, Told, classes, label, row, run


def client_of(url: str) -> Any:
    return boto3.client(
        "sagemaker-runtime",
        region_name="eu-central-1",
        endpoint_url=url,
        aws_access_key_id="nobody",
        aws_secret_access_key="nothing",
        config=Config(retries={"total_max_attempts": 1}),
    )


def body_of(rows: list[list[float]]) -> bytes:
    return json.dumps({"instances": rows}).encode()


def invoke_endpoint(told: Told) -> None:
    client = client_of(told.gateway)

    def invoke(rows: list[list[float]], **more: Any) -> Any:
        return client.invoke_endpoint(
            EndpointName=told.model, ContentType="application/json", Body=body_of(rows), **more
        )

    def predicted(answer: Any) -> list[int]:
        return classes(json.load(answer["Body"])["predictions"])

    def two(url: str) -> None:
        answer = invoke([ROW, OTHER])
        assert predicted(answer) == [0, 2]
        assert answer["ContentType"].startswith("application/json"), answer

    def variants(url: str) -> None:
        for _ in range(20):
            answer = invoke([ROW], TargetVariant=told.candidate)
            assert answer["InvokedProductionVariant"] == told.candidate, answer
            assert predicted(answer) == [0]

    def inference_id(url: str) -> None:
        answer = invoke([ROW], InferenceId="case-7")
        fields = answer["ResponseMetadata"]["HTTPHeaders"]
        assert fields["x-request-id"] == "case-7", fields

    def nobody(url: str) -> None:
        status = 200
        try:
            invoke([ROW], TargetVariant="nobody")
        except client.exceptions.ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        assert status == 400, status

    def ask(url: str, number: int) -> Any:
        answer = invoke([row(number)])
        assert predicted(answer) == [label(number)]
        fields = answer["ResponseMetadata"]["HTTPHeaders"]
        assert answer["InvokedProductionVariant"] == fields["x-model-version"], answer
        return fields

    told.holds("invoke_endpoint", two)
    told.holds("TargetVariant", variants)
    told.holds("InferenceId", inference_id)
    told.holds("unknown variant", nobody)
    told.load("invoke_endpoint", ask)


if __name__ == "__main__":
    run(invoke_endpoint=invoke_endpoint)
