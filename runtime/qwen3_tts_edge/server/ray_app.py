"""Several machines, or several processes of one: the same app as a deployment of Ray Serve.

    from ray import serve
    from qwen3_tts_edge.server.ray_app import deployment
    from qwen3_tts_edge.server.settings import Settings

    serve.run(deployment(Settings("my-bundle"), replicas=(1, 8), gpus=0.25))

Each replica opens the bundle, has its own door and answers what it cannot take in OpenAI's shape.
Ray counts open streams and starts or stops replicas; a websocket stays where it began.
"""

from typing import Any

from ray import serve
from starlette.types import ASGIApp

from qwen3_tts_edge.server.app import guarded
from qwen3_tts_edge.server.service import Service
from qwen3_tts_edge.server.settings import Settings
from qwen3_tts_edge.server.speaking.worker import WorkerDiedError


def deployment(
    settings: Settings,
    *,
    replicas: int | tuple[int, int] = 1,
    cpus: float = 1.0,
    gpus: float = 0.0,
) -> serve.Application:
    """Describe the deployment, for `serve.run`.

    Args:
        settings: How each replica serves. Every machine of the cluster has the bundle there.
        replicas: How many, or from how many to how many, by the streams that are open.
        cpus: Of one replica.
        gpus: Likewise; a fraction shares a GPU. Ray only counts it, so give each replica no more
            slots than that part of the memory holds.
    """
    # A replica's own door decides who is let in. Ray's, which answers otherwise, stays open.
    places = settings.slots or 8
    options: dict[str, Any] = {"num_replicas": replicas}
    if isinstance(replicas, tuple):
        options = {
            "autoscaling_config": {
                "min_replicas": replicas[0],
                "max_replicas": replicas[1],
                "target_ongoing_requests": max(1, places // 2),
            }
        }

    class Replica:
        """One process with a bundle."""

        service: Service | None = None

        def check_health(self) -> None:
            """Raise where only a new process helps, which Ray then starts."""
            if self.service is not None and not self.service.alive:
                raise WorkerDiedError

    def build() -> ASGIApp:
        service = Replica.service = Service.open(settings)
        return guarded(service)  # Ray names requests

    described = serve.deployment(
        name="qwen3-tts",
        max_ongoing_requests=8 * (places + settings.queue),
        graceful_shutdown_timeout_s=settings.drain_seconds,
        ray_actor_options={"num_cpus": cpus, "num_gpus": gpus},
        **options,
    )
    return described(serve.ingress(build)(Replica)).bind()
