"""The two ways to send load: an open loop at given times, a closed loop of users.

Both only say what is sent when; the agenda keeps the times, and the generator sends.
"""

from __future__ import annotations

import functools
import math
import time
from collections import deque
from collections.abc import Callable, Iterator

from holdfast.load import backoff
from holdfast.load.agenda import Agenda
from holdfast.load.answers import Answer
from holdfast.load.exchange import Exchange
from holdfast.load.prompts import Ask
from holdfast.load.supply import Ready, Supply
from holdfast.model.records import Outcome


class Request(Exchange):
    """An exchange with why it was sent: `ask`, meant for `due_s`, in `stage`; `then` is done once it has ended."""

    __slots__ = ("ask", "due_s", "stage", "then")

    def __init__(
        self,
        ready: Ready,
        answer: Answer,
        on_end: Callable[[Exchange], None],
        due_s: float,
        stage: int,
        then: Callable[[Request], None],
    ) -> None:
        super().__init__(ready[1], answer, on_end)
        self.ask = ready[0]
        self.due_s = due_s
        self.stage = stage
        self.then = then

    def next_turn(self) -> Ask | None:
        """What a conversation says next; None when it has ended, or failed."""
        follow = self.ask.follow
        return None if follow is None or self.outcome is not Outcome.OK else follow(self.answer.text())


Send = Callable[[Ready, float, Callable[[Request], None]], None]
"""Sends a request that was meant for a moment, and then does something once it has ended."""


class OpenLoop:
    """Sends at given moments, whatever becomes of the answers.

    waiting: what `max_in_flight` holds back, with its moments; held, held_s: how many so far, and for how long in all.
    sent_s:  when the last scheduled request was due or, if that is later, sent.
    """

    def __init__(
        self,
        agenda: Agenda,
        supply: Supply,
        send: Send,
        dues: Iterator[float],
        *,
        think_s: float,
        talk_end_s: float,
        max_in_flight: int,
    ) -> None:
        self._agenda = agenda
        self._supply = supply
        self._send = send
        self._dues = dues
        self._think_s = think_s
        self._talk_end_s = talk_end_s
        self._most = max_in_flight or math.inf
        self._in_flight = 0
        self.waiting: deque[tuple[Ready, float]] = deque()
        self.held, self.held_s = 0, 0.0
        self.sent_s = -math.inf
        self.is_scheduling = True
        self._schedule()

    def stop(self) -> None:
        """Starts nothing any more."""
        self.is_scheduling = False
        self._agenda.close()
        self._most = -math.inf

    def _schedule(self) -> None:
        due_s = next(self._dues, None)
        if due_s is None:
            self.is_scheduling = False
        else:
            self._agenda.at(due_s, self._scheduled)

    def _scheduled(self, due_s: float) -> None:
        ready = self._supply.take()
        if ready is None:
            self.is_scheduling = False
            return
        self._start(ready, due_s)
        self.sent_s = time.perf_counter()
        self._schedule()

    def _start(self, ready: Ready, due_s: float) -> None:
        if self._in_flight < self._most:
            self._in_flight += 1
            self._send(ready, due_s, self._then)
        else:
            self.waiting.append((ready, due_s))
            self.held += 1

    def _then(self, request: Request) -> None:
        self._in_flight -= 1
        turn = request.next_turn()
        if turn is not None and (due_s := request.end_s + self._think_s) <= self._talk_end_s and self._most > 0:
            self._agenda.at(due_s, functools.partial(self._start, self._supply.ready(turn)))
        while self.waiting and self._in_flight < self._most:
            ready, due_s = self.waiting.popleft()
            self.held_s += time.perf_counter() - due_s
            self._in_flight += 1
            self._send(ready, due_s, self._then)


class ClosedLoop:
    """Keeps users busy: each sends his next request when the last one has ended and he has thought."""

    def __init__(
        self, agenda: Agenda, supply: Supply, send: Send, *, requests: int, end_s: float, think_s: float
    ) -> None:
        """requests: how many to send at most, 0 for no bound; end_s: none is sent from then on."""
        self._agenda = agenda
        self._supply = supply
        self._send = send
        self._left = requests or math.inf
        self._end_s = end_s
        self._think_s = think_s

    @property
    def is_spent(self) -> bool:
        """Whether no request is left to send."""
        return self._left <= 0

    def stop(self) -> None:
        """Starts nothing any more."""
        self._left = 0

    def ask(self, due_s: float) -> None:
        """A user sends a request that he meant to send at `due_s`."""
        if self._left > 0 and due_s < self._end_s and (ready := self._supply.take()) is not None:
            self._start(ready, due_s)

    def _start(self, ready: Ready, due_s: float) -> None:
        if self._left > 0 and due_s < self._end_s:
            self._left -= 1
            self._send(ready, due_s, self._then)

    def _then(self, request: Request) -> None:
        if self._left <= 0:
            return
        wait_s = max(self._think_s, backoff.pause_s(request, time.time()))
        turn = request.next_turn()
        act = self.ask if turn is None else functools.partial(self._start, self._supply.ready(turn))
        if wait_s > 0:
            self._agenda.at(request.end_s + wait_s, act)
        else:
            act(time.perf_counter())  # who does not think asks when he has read the answer, not when it came
