"""What ends a run early: the design's retry table as counts of answers. It knows neither threads nor time."""

from __future__ import annotations

from km_cli.delivery.policy import Policy
from km_cli.errors import ComeBackLater, KmError, Outage, Unavailable
from km_cli.model import Answer, Verdict

RESUME = "nothing is lost: run the same command again and it goes on where it stopped"


class Stops:
    """Takes note of answers; tells which one ends the run, and why."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._acknowledged = False
        self._unreached = 0
        self._not_images = 0
        self._rejections = 0

    def acknowledged(self) -> None:
        """The destination takes calls: what went wrong before is forgiven."""
        self._acknowledged = True
        self._not_images = self._rejections = 0

    def rejected(self, answer: Answer) -> KmError | None:
        """Take the destination's word on one call, but not on everything it is given."""
        self._not_images = 0
        self._rejections += 1
        if self._rejections < self._policy.rejections:
            return None
        return Outage(
            f"{self._rejections} calls in a row were refused, the last with: {answer.reason}",
            "something is wrong with all of them; see the rejects file, and try one row: --limit 1",
        )

    def refused(self, answer: Answer) -> KmError:
        """Refused as a whole: at once."""
        return Unavailable(answer.reason, f"{answer.hint}; {RESUME}" if answer.hint else RESUME)

    def failed(self, answer: Answer) -> KmError | None:
        """Count an answer that is retried."""
        images, self._not_images = self._not_images, 0
        if answer.verdict is Verdict.NOT_AN_IMAGE:
            self._not_images = images + 1
            if self._not_images >= self._policy.not_an_image:
                return Unavailable(
                    f"something between here and the destination answers in its place: {answer.reason}",
                    "look for a proxy or a sign-in page; " + RESUME,
                )
        if answer.verdict is Verdict.UNREACHED and not self._acknowledged:
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
