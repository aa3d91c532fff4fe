"""A queue with sixteen servers in SimPy, as a measure for the simulator beside it: it has no tokens, batches or caches."""

import random
import time

import simpy

CUSTOMERS = 200_000
SERVERS = 16
ARRIVALS_PER_SECOND = 13.3 * SERVERS
SERVICE_PER_SECOND = ARRIVALS_PER_SECOND / SERVERS / 0.8


def customer(environment, servers, stream):
    with servers.request() as turn:
        yield turn
        yield environment.timeout(stream.expovariate(SERVICE_PER_SECOND))


def arrivals(environment, servers, stream):
    for _ in range(CUSTOMERS):
        yield environment.timeout(stream.expovariate(ARRIVALS_PER_SECOND))
        environment.process(customer(environment, servers, stream))


environment = simpy.Environment()
stream = random.Random(1)
began = time.perf_counter()
environment.process(arrivals(environment, simpy.Resource(environment, SERVERS), stream))
environment.run()
print(f"{CUSTOMERS / (time.perf_counter() - began):.0f}")
