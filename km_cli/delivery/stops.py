"""Counts the answers that end a run early (the table "Retries" in km_cli/README.md)."""

from __future__ import annotations

from km_cli.delivery.policy import Policy
from km_cli.errors import ComeBackLater, KmError, Outage, Unavailable
from km_cli.model import Answer, AnswerKind

RESUME = "nothing is lost: run the same command again and it goes on where it stopped"


class Stops:
    """Counts answers; returns the error that ends the run, if one does."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._acknowledged = False
        self._unreached = 0
        self._not_images = 0
        self._rejections = 0

    def acknowledged(self) -> None:
        """Count from zero again: the destination takes calls, so the calls it rejected were at fault."""
        self._acknowledged = True
        self._not_images = self._rejections = 0

    def rejected(self, answer: Answer) -> KmError | None:
        """Count a rejected call, and end the run after several without an acknowledgement.

        A single rejection is the fault of the call. Several point to a wrong setting, which would otherwise
        reject a whole log, row by row.
        """
        self._not_images = 0
        self._rejections += 1
        if self._rejections < self._policy.rejections:
            return None
        return Outage(
            f"{self._rejections} calls in a row were rejected, the last with: {answer.reason}",
            "all calls seem to have the same fault; see the rejects file, and try one row: --limit 1",
        )

    def refused(self, answer: Answer) -> KmError:
        """Return the error of a destination that refuses all calls: the run ends at once."""
        return Unavailable(answer.reason, f"{answer.hint}; {RESUME}" if answer.hint else RESUME)

    def failed(self, answer: Answer) -> KmError | None:
        """Count an answer after which the call is retried."""
        images, self._not_images = self._not_images, 0
        if answer.kind is AnswerKind.NOT_AN_IMAGE:
            self._not_images = images + 1
            if self._not_images >= self._policy.not_an_image:
                return Unavailable(
                    f"another machine answers in place of the destination: {answer.reason}",
                    "look for a proxy or a sign-in page; " + RESUME,
                )
        if answer.kind is AnswerKind.UNREACHED and not self._acknowledged:
            self._unreached += 1
            if self._unreached >= self._policy.unreached:
                return Outage(answer.reason, "check the address and the network; " + RESUME)
        if answer.retry_after > self._policy.longest_pause:
            return ComeBackLater(
                f"the destination asks to wait {answer.retry_after:.0f} s ({answer.reason})",
                "run the same command again after that; it goes on where it stopped",
                answer.retry_after,
            )
        return None
