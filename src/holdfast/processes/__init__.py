"""Processes of ours that cannot outlive us.

children      starting and ending them      leash    the few lines that tie them to us
"""
