"""Whom the dealer works with and what they sell. Texts of Odoo's translated fields are translated; names and
addresses of customers, which are not, are French where the database is.
"""

from typing import NamedTuple

from odoo.tools.translate import LazyTranslate

_lt = LazyTranslate(__name__)


class Salesperson(NamedTuple):
    login: str
    name: str
    is_leader: bool
    team: int
    pace: float  # what takes others one day takes them so many
    losses: float  # for each opportunity that others lose, they lose so many


class Product(NamedTuple):
    name: object
    price: float


class Project(NamedTuple):
    name: object
    team: int
    sizes: tuple  # from, to
    products: dict  # quantity by product, None: the size of the project


# Names that are at home in English and in French
SALESPEOPLE = (
    Salesperson("alice", "Alice Martin", True, team=0, pace=0.8, losses=0.8),
    Salesperson("bruno", "Bruno Simon", False, team=0, pace=1.4, losses=1.3),
    Salesperson("chloe", "Chloé Lambert", False, team=0, pace=1, losses=1),
    Salesperson("david", "David Robin", True, team=1, pace=1.2, losses=1.1),
    Salesperson("emma", "Emma Laurent", False, team=1, pace=0.7, losses=0.6),
)
# Who set up one of the dealer's automations, and does not work for them any more
CONSULTANT = ("felix", "Félix Gilbert", False)

TEAMS = (_lt("Stoves"), _lt("Windows"))
TAGS = (_lt("Renovation"), _lt("New House"))
REASONS = (
    _lt("Too expensive"),
    _lt("Bought from a competitor"),
    _lt("Project postponed"),
    _lt("Stopped answering"),
    _lt("House not suitable"),
    _lt("No loan from the bank"),
)
NO_ANSWER = 3

PRODUCTS = {
    "wood": Product(_lt("Wood Stove, 7 kW, Cast Iron"), 2490),
    "pellet": Product(_lt("Pellet Stove, 9 kW"), 3890),
    "insert": Product(_lt("Fireplace Insert, 11 kW"), 3290),
    "boiler": Product(_lt("Pellet Boiler Stove, 18 kW"), 7450),
    "flue": Product(_lt("Stainless Steel Flue, per Metre"), 145),
    "stove_fitting": Product(_lt("Installation of a Stove"), 890),
    "window": Product(_lt("Window, Triple-Glazed, 120 × 140 cm"), 640),
    "roof": Product(_lt("Roof Window, 78 × 118 cm"), 870),
    "patio": Product(_lt("Patio Door, Two Leaves"), 1790),
    "door": Product(_lt("Front Door, Insulated"), 2350),
    "fitting": Product(_lt("Installation of a Window or Door"), 180),
}
# What comes with most projects
STOVE = {"flue": None, "stove_fitting": 1}
OPENING = {"fitting": None}
PROJECTS = (
    Project(_lt("Pellet stove in the living room"), 0, (3, 8), {"pellet": 1, **STOVE}),
    Project(_lt("Wood stove with a new flue"), 0, (5, 10), {"wood": 1, **STOVE}),
    Project(_lt("Wood stove in place of an old one"), 0, (1, 3), {"wood": 1, "flue": None}),
    Project(_lt("Insert for an open fireplace"), 0, (4, 9), {"insert": 1, **STOVE}),
    Project(_lt("Boiler stove for the whole house"), 0, (5, 9), {"boiler": 1, **STOVE}),
    Project(_lt("Windows for the whole house"), 1, (8, 16), {"window": None, **OPENING}),
    Project(_lt("Windows on the street side"), 1, (3, 6), {"window": None, **OPENING}),
    Project(_lt("Patio doors to the garden"), 1, (1, 3), {"patio": None, **OPENING}),
    Project(_lt("Roof windows in the attic"), 1, (2, 6), {"roof": None, **OPENING}),
    Project(_lt("New front door"), 1, (1, 1), {"door": 1, **OPENING}),
    Project(_lt("Front door and ground-floor windows"), 1, (3, 7), {"door": 1, "window": None, **OPENING}),
)


class Place(NamedTuple):
    """Where customers come from: their names, streets, towns, and a range of unused telephone numbers."""

    country: str
    first_names: tuple
    last_names: tuple
    companies: tuple  # "%s" is a last name
    streets: tuple
    towns: tuple
    phone: str


ENGLISH = Place(
    country="us",
    first_names=("Hannah", "Peter", "Grace", "Owen", "Ruth", "Martin", "Nora", "Walter", "Judith", "Simon")
    + ("Ellen", "Victor", "Clara"),
    last_names=("Ashworth", "Birch", "Calloway", "Dunmore", "Eastman", "Fairbanks", "Garrison", "Hollis")
    + ("Ingram", "Jessup", "Kimball", "Lockwood", "Merrill", "Northrop", "Oakes", "Prescott", "Quimby")
    + ("Ridley", "Stoddard", "Thatcher", "Underhill", "Varney", "Whitcomb"),
    companies=("%s Bakery", "%s Guest House", "%s & Daughters", "%s Property Management"),
    streets=(
        "Maple Street",
        "Mill Road",
        "Orchard Lane",
        "Church Street",
        "Hillside Avenue",
        "Lake View Drive",
    ),
    towns=(("05401", "Burlington"), ("05602", "Montpelier"), ("05701", "Rutland"), ("05672", "Stowe"))
    + (("05301", "Brattleboro"), ("03431", "Keene"), ("03301", "Concord"), ("03766", "Lebanon")),
    phone="+1 802-555-01%02d",
)
FRENCH = Place(
    country="fr",
    first_names=(
        "Hélène",
        "Pierre",
        "Odile",
        "Yves",
        "Sylvie",
        "Marc",
        "Nathalie",
        "Gérard",
        "Judith",
        "Simon",
    )
    + ("Agnès", "Victor", "Claire"),
    last_names=("Aubry", "Blanchet", "Chardon", "Delorme", "Esnault", "Fournier", "Garnier", "Hamelin")
    + ("Imbert", "Joubert", "Lacombe", "Maillard", "Normand", "Ollivier", "Perret", "Quentin", "Rivoire")
    + ("Sauvage", "Tissot", "Vasseur", "Vuillermoz", "Weber", "Arnoux"),
    companies=("Boulangerie %s", "Gîte %s", "%s et Filles", "Agence %s Immobilier"),
    streets=("rue des Tilleuls", "chemin du Moulin", "allée des Vergers", "rue de l'Église", "avenue du Lac")
    + ("route des Coteaux",),
    towns=(("74000", "Annecy"), ("73000", "Chambéry"), ("38000", "Grenoble"), ("73100", "Aix-les-Bains"))
    + (("73200", "Albertville"), ("74150", "Rumilly"), ("38500", "Voiron"), ("74200", "Thonon-les-Bains")),
    phone="+33 1 99 00 12 %02d",
)
