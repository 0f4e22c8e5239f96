"""OpenAI's requests and answers, in one wording for every server of holdfast; nothing here knows what makes the answers."""
