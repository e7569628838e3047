"""What a browser has to say of the pages it was shown."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from playwright.sync_api import BrowserContext, ConsoleMessage, Request, Response, WebError

# Runs before any script of a page; the policy has no say in it.
LISTEN: Final = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
"""
POLICY: Final = "content-security-policy"


@dataclass
class Watch:
    """Of all pages of a context. ``home`` is the one host they may speak to; ``minded`` are
    complaints that a test asks for, as regular expressions.
    """

    home: str
    minded: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    policies: dict[str, str] = field(default_factory=dict)

    def over(self, context: BrowserContext) -> None:
        """Begin."""
        context.add_init_script(LISTEN)
        context.on("console", self._console)
        context.on("weberror", self._error)
        context.on("request", self._request)
        context.on("response", self._response)

    def complaints(self) -> list[str]:
        """Errors and warnings that nobody asked for."""
        return [one for one in self.said if not any(re.search(each, one) for each in self.minded)]

    def outside(self) -> list[str]:
        """What was asked of anybody else."""
        return [one for one in self.asked if not one.startswith((f"{self.home}/", "data:"))]

    def lax(self) -> dict[str, str]:
        """Answers whose policy is missing, or lets scripts or styles stand in the page."""
        return {
            url: policy
            for url, policy in self.policies.items()
            if "default-src 'none'" not in policy or "unsafe" in policy
        }

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.said.append(f"{message.type}: {message.text} ({message.location['url']})")

    def _error(self, error: WebError) -> None:
        self.said.append(f"exception: {error.error}")

    def _request(self, request: Request) -> None:
        self.asked.append(request.url)

    def _response(self, response: Response) -> None:
        if response.url.startswith(f"{self.home}/"):
            headers: Any = response.headers
            self.policies[response.url] = headers.get(POLICY, "")
