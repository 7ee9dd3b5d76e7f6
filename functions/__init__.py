"""One folder a Lambda function, each only an adapter: parse, authorise, call a service, answer.

Loading a function makes some 100,000 objects, and nearly all of them stay. By default the interpreter looks through
them for garbage again and again while they are made, which is 60 of 500 ms of a cold start. Here it first does so
when twice as many have been added.
"""

import gc

gc.set_threshold(200_000)
