"""What people and machines are told of a look.

teller      who hears of it                   status     of the resource
conditions  what is so, and why               said       events
wording     sentences                         by_hand    failover as a person asks for it
shown       fleets at a terminal              exported   metrics
listening   where probes and Prometheus ask
"""
