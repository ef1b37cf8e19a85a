"""What happened to the dealer's opportunities, as a dice chose it: the same at every run, on any day."""

import random
from datetime import datetime, time, timedelta
from typing import NamedTuple

from .texts import PROJECTS, SALESPEOPLE

OPPORTUNITIES = 150
CUSTOMERS = 125

# Days that the dealer's shop was open in 14 months: all but Sundays
OPENING_DAYS = 364

# By stage, of the five in their order: the last one is where opportunities are won
NEW, ESTIMATE, VISIT, QUOTATION, CLOSED = range(5)
USUAL_DAYS = (4, 7, 12, 18)
LOSSES = (0.13, 0.2, 0.12, 0.3)
NEXT_STAGES = (
    {ESTIMATE: 60, VISIT: 35, QUOTATION: 5},
    {VISIT: 75, QUOTATION: 25},
    {QUOTATION: 100},
    {CLOSED: 88, VISIT: 12},
)
# How often an automation brings an opportunity there
AUTOMATED = {ESTIMATE: 0.75, VISIT: 0.7, QUOTATION: 0.85, CLOSED: 0.9}
# The reasons of losses in each stage, by their number in REASONS
LOST_REASONS = (
    {2: 60, 3: 40},
    {0: 40, 1: 15, 2: 20, 3: 25},
    {4: 70, 3: 20, 5: 10},
    {0: 35, 1: 40, 2: 10, 5: 15},
)

# Some opportunities of the last months are forgotten where they are, by stage.
FORGOTTEN = (0.08, 0.15, 0.17, 0.2)
FORGOTTEN_SINCE = 80


class Step(NamedTuple):
    """An opportunity enters a stage."""

    stage: int
    day: int  # opening days ago
    date: datetime
    moved_by: str


class Loss(NamedTuple):
    date: datetime
    reason: int


class Story(NamedTuple):
    """All that happens to an opportunity. Numbers stand for what ``texts.py`` has in this order."""

    customer: int
    salesperson: int
    project: int
    size: int
    priority: int
    is_renovation: bool
    steps: list
    loss: Loss | None
    visit: datetime | None
    activity: int | None  # days from now
    closing: int  # days from now

    @property
    def stage(self):
        return self.steps[-1].stage

    @property
    def is_open(self):
        return not self.loss and self.stage != CLOSED

    def get_date(self, *stages):
        """:return: when the opportunity entered one of these stages last; None when it never did"""
        return max((step.date for step in self.steps if step.stage in stages), default=None)


class StoryTeller:
    def __init__(self, now, seed=16):
        self.dice = random.Random(seed)
        days = (now.date() - timedelta(days=ago) for ago in range(1, 2 * OPENING_DAYS))
        self.past = [day for day in days if day.weekday() != 6]
        days = (now.date() + timedelta(days=ahead) for ahead in range(1, 30))
        self.future = [day for day in days if day.weekday() != 6]

    def tell_all(self):
        """:return: stories by their beginning; the dealer's business grows"""
        begins = [
            1 + round((OPENING_DAYS - 1) * (1 - number / OPPORTUNITIES) ** 1.6)
            for number in range(OPPORTUNITIES)
        ]
        return [self.tell(number, day) for number, day in enumerate(begins)]

    def tell(self, number, day):
        dice = self.dice
        salesperson = dice.randrange(len(SALESPEOPLE))
        projects = [
            index for index, project in enumerate(PROJECTS) if project.team == SALESPEOPLE[salesperson].team
        ]
        project = dice.choice(projects)
        steps, loss = self.take_steps(SALESPEOPLE[salesperson], day)
        return Story(
            customer=number if number < CUSTOMERS else dice.randrange(CUSTOMERS),
            salesperson=salesperson,
            project=project,
            size=dice.randint(*PROJECTS[project].sizes),
            priority=dice.choices(range(4), (50, 30, 15, 5))[0],
            is_renovation=dice.random() < 0.7,
            steps=steps,
            loss=loss,
            visit=self.get_visit(steps, loss),
            activity=dice.randint(-6, 12) if dice.random() < 0.8 else None,
            closing=dice.randint(-8, 60),
        )

    def take_steps(self, salesperson, day):
        """:return: where the opportunity went, and how it was lost, if it was"""
        dice = self.dice
        steps = [Step(NEW, day, self.get_date(day), "created")]
        while (stage := steps[-1].stage) != CLOSED:
            if day <= FORGOTTEN_SINCE and dice.random() < FORGOTTEN[stage]:
                break
            day -= max(1, round(USUAL_DAYS[stage] * salesperson.pace * dice.lognormvariate(0, 0.7)))
            if day < 1:
                break
            if dice.random() < LOSSES[stage] * salesperson.losses:
                return steps, Loss(self.get_date(day), self.choose(LOST_REASONS[stage]))
            following = self.choose(NEXT_STAGES[stage])
            is_automated = following > stage and dice.random() < AUTOMATED[following]
            moved_by = "automation" if is_automated else "hand"
            steps.append(Step(following, day, self.get_date(day), moved_by))
        return steps, None

    def choose(self, weights):
        return self.dice.choices(list(weights), list(weights.values()))[0]

    def get_date(self, day):
        return self.at_work(self.past[day - 1])

    def at_work(self, day):
        return datetime.combine(day, time(self.dice.randint(8, 17), self.dice.randrange(0, 60, 5)))

    def get_visit(self, steps, loss):
        """:return: when the technical visit is: before the opportunity left that stage, or in some days"""
        for step, following in zip(steps, [*steps[1:], None], strict=True):
            if step.stage != VISIT:
                continue
            if following:
                return self.at_work(self.past[(step.day + following.day) // 2 - 1])
            if loss or step.day > 15:
                return self.at_work(self.past[step.day * 2 // 3])
            return self.at_work(self.dice.choice(self.future[:12]))
        return None
