"""What people read, in one language at a time."""

from paperless.language.texts import LANGUAGES, Language, Message, Texts, language_of, message, texts

__all__ = ["LANGUAGES", "Language", "Message", "Texts", "language_of", "message", "texts"]
