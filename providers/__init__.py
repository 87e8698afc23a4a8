"""The outside work: HTTP, mail, chat, scripts, people; the only code that leaves the machine."""
