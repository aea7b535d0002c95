"""What whoever runs the API may set."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Settings of the HTTP room.

    Attributes:
        secret: signs session cookies; at least 32 characters, the same in every API process.
        title: the name shown on pages and in the OpenAPI description.
        secure_cookies: whether the service is reached over HTTPS only (Secure cookies, HSTS).
        session_hours: how long a log-in lasts.
        attempts_per_login: passwords that may be tried for one log-in in a window.
        attempts_per_address: passwords that may be tried from one client address in a window.
        attempts_window_s: length of that window in seconds.
        loss_rate_target: public network loss rate to stay within, a fraction (policy).
        longest_span_days: longest period of readings or hourly volumes in one question.
        pages: whether the dashboard is served beside the API.
    """

    secret: str = field(repr=False)
    title: str = "节水 jieshui"
    secure_cookies: bool = False
    session_hours: int = 12
    attempts_per_login: int = 10
    attempts_per_address: int = 30
    attempts_window_s: int = 900
    loss_rate_target: float = 0.085
    longest_span_days: int = 400
    pages: bool = True

    def __post_init__(self) -> None:
        """Refuse a secret that could be guessed."""
        if len(self.secret) < 32:
            raise ValueError("api: the secret needs at least 32 characters")
