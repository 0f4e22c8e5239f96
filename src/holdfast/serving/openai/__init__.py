"""OpenAI's requests and answers, the same for every server of holdfast, whatever makes the answers."""
