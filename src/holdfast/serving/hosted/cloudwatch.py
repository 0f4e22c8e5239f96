"""What a model server tells CloudWatch of itself: the requests for inference, and not what probes and pages ask."""

from __future__ import annotations

from holdfast.serving.hosted.metrics import OTHER, HttpAnswer, Published
from holdfast.telemetry.publishing.publisher import Publisher


def tell(published: Published, publisher: Publisher) -> None:
    """Have the publisher count what is answered from now on, and show on /metrics what becomes of it."""

    def count(answer: HttpAnswer) -> None:
        if is_inference(answer):
            publisher.count(answer.status, answer.seconds)

    published.listen(count)
    published.watch_counter(
        "holdfast_publishing_failures",
        "Attempts to publish metrics to CloudWatch that failed; what they had is kept.",
        lambda: publisher.failures,
    )
    published.watch_counter(
        "holdfast_publishing_lost_intervals",
        "Intervals of metrics that CloudWatch will never take: refused, or too old.",
        lambda: publisher.lost,
    )


def is_inference(answer: HttpAnswer) -> bool:
    """Models are asked by POST, and by the published guides' GET /load/{n}/infer/{m}; the page talks on its own."""
    if answer.route == OTHER or answer.route.startswith("/serve"):
        return False
    return answer.method == "POST" or answer.route.startswith("/load/")
