"""Telegram as a channel, by aiogram, the one door to it. What every channel needs stands in `outposts.channel`."""
