# In the order of the layers: each rests on those before it, and knows nothing of those after it.
from . import stage  # opportunities have a valid stage, whatever becomes of stages
from . import probability  # they take the probability of their stage
from . import history  # their stays in stages are written as they happen
from . import trigger  # documents announce what happened to them, and what falls due
from . import automation  # which moves opportunities
from . import arrival  # where their new stage plans, sends and asks
