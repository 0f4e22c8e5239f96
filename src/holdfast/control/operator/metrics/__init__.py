"""The rate that clients offer.

rates      what is asked      reading    asking it
sources    whom               readings   the last answers, for all fleets
"""
