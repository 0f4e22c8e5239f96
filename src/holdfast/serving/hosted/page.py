"""The page at /serve, to judge a model's output by eye. Takes the extra `page` (Gradio).

Its requests go to the same generator or batcher as those of the API, so that they wait in the same queue, are refused
by the same bounds and are counted in the same metrics. Nothing on it comes from elsewhere than this server.
"""

from __future__ import annotations

import asyncio
import html
import importlib.util
import socket
from typing import Any

from fastapi import FastAPI
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from holdfast.model.errors import InputError
from holdfast.serving.hosted.bounds import Bounds
from holdfast.serving.hosted.files import ModelFiles
from holdfast.serving.hosted.loaded import Loaded
from holdfast.serving.hosted.metrics import Labels
from holdfast.serving.lifecycle import Lifecycle, Phase

PATH = "/serve"

_LOOK_S = 0.5
"""How often a page looks whether its server drains: its tabs hold a connection each, for which a server would wait."""

_KEPT_S = 600
"""How long images that were sent stay on the disk, so that they can be asked about again."""

_STYLE = """
.gradio-container { max-width: 60rem !important; margin: 0 auto; }
.facts { display: flex; flex-wrap: wrap; gap: 0.25rem 1.5rem; margin: 0 }
.facts div { display: flex; gap: 0.4rem; min-width: 0 }
.facts dt { opacity: 0.7 }
.facts dd { margin: 0; overflow-wrap: anywhere }
.made img, .made svg { display: block; width: 100%; height: auto; max-height: 80vh; object-fit: contain }
.made text { font-family: system-ui, sans-serif; font-weight: 600; fill: #fff }
.made text { paint-order: stroke; stroke: #000; stroke-width: 0.2em }
.refused { border-left: 4px solid #d1242f; padding: 0.5rem 0.75rem; overflow-wrap: anywhere }
footer { display: none !important }
"""


def require_gradio() -> None:
    """Raises InputError where the extra is not installed. Imports nothing of it."""
    if importlib.util.find_spec("gradio") is None:
        raise InputError(
            "the page takes Gradio, which is not installed", where="--page", mend="pip install 'holdfast[page]'"
        )


def mount(
    app: FastAPI, loaded: Loaded, files: ModelFiles, *, labels: Labels, bounds: Bounds, lifecycle: Lifecycle
) -> None:
    """Serve the page of the loaded model at PATH, whether the application listens already or not.

    Blocks for seconds, in which Gradio is imported: not for the event loop. Raises InputError where it is not there.
    """
    require_gradio()
    app.mount(PATH, _Page(asyncio.run(_built(loaded, files, labels, bounds)), lifecycle))
    # To a path: FastAPI's own redirect would lead to whatever host the request names.
    app.add_route(PATH, lambda _: RedirectResponse(f"{PATH}/"))
    # What Gradio's page asks for at the root, where it is not mounted.
    app.add_route("/manifest.json", lambda _: JSONResponse({"name": labels.model, "start_url": PATH}))
    app.add_route("/favicon.ico", lambda _: Response(status_code=204))


async def _built(loaded: Loaded, files: ModelFiles, labels: Labels, bounds: Bounds) -> Any:
    """Gradio's application. It makes events and locks here, and where no event loop runs would open one for them."""
    import gradio

    from holdfast.serving.hosted import forms

    with gradio.Blocks(
        title=f"{labels.model} – holdfast", analytics_enabled=False, delete_cache=(_KEPT_S, _KEPT_S)
    ) as blocks:
        gradio.HTML(_heading(files, labels))
        forms.form(files.task, loaded)
    # A queue of Gradio's own would hide that of the server.
    blocks.queue(default_concurrency_limit=None, api_open=False)
    beside = FastAPI()
    gradio.mount_gradio_app(
        beside,
        blocks,
        PATH,
        theme=gradio.themes.Default(
            primary_hue="blue",
            font=("system-ui", "sans-serif"),
            font_mono=("ui-monospace", "Consolas", "monospace"),
        ).set(button_primary_background_fill="*primary_600", button_primary_background_fill_hover="*primary_700"),
        css=_STYLE,
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        show_error=False,
        enable_monitoring=False,
        max_file_size=int(bounds.max_body_mib * 2**20),
    )
    return beside.routes[-1].app  # type: ignore[attr-defined]


def _heading(files: ModelFiles, labels: Labels) -> str:
    facts = {
        "task": files.task.value,
        "unit": labels.unit,
        "pod": socket.gethostname(),
        "node pool": labels.node_pool,
        "device": labels.device,
    }
    entries = "".join(
        f"<div><dt>{name}</dt><dd>{html.escape(value)}</dd></div>" for name, value in facts.items() if value
    )
    return f"<h1>{html.escape(labels.model)}</h1><dl class='facts'>{entries}</dl>"


class _Page:
    """Gradio's application, which lives from its first request until the event loop ends or the server drains."""

    def __init__(self, gradio_app: Any, lifecycle: Lifecycle) -> None:
        self._gradio = gradio_app
        self._lifecycle = lifecycle
        self._begun: asyncio.Event | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._lifecycle.phase is not Phase.READY:
            said = f"the server is {self._lifecycle.phase.value}: {self._lifecycle.reason}"
            await PlainTextResponse(said, status_code=503, headers={"retry-after": "1"})(scope, receive, send)
            return
        if self._begun is None:
            self._begun = asyncio.Event()
            self._living = asyncio.create_task(self._live(self._begun), name="page")
        await self._begun.wait()
        await self._gradio(scope, receive, send)

    async def _live(self, begun: asyncio.Event) -> None:
        """The server's own lifespan events are over, or off, when a page is mounted."""
        async with self._gradio.router.lifespan_context(self._gradio):
            self._gradio.get_blocks().run_startup_events()
            begun.set()
            # A lifecycle tells nobody that it moves.
            while self._lifecycle.phase is Phase.READY:  # noqa: ASYNC110
                await asyncio.sleep(_LOOK_S)
            self._gradio.stop_event.set()
