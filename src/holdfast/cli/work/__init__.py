"""What each verb does: a file per verb, imported when the verb is run and not when its `--help` is asked for."""
