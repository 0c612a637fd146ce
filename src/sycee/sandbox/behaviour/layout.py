"""Numbers that the plain rule, the compiled rule and the tables of a setting share: streams, indices, constants.

Only integers are here, because compiled kernels are rebuilt when this file changes.
"""

from __future__ import annotations

from typing import Final

PPM: Final = 1_000_000
OUTSIDE: Final = -1  # the shop of a purchase outside of the shops of the city

# Streams of random numbers: one for each decision, so that no decision changes the draws of another.
REGISTER, TICKET, WILLING, CLAIM, DELIVERY, NEVER, SPREAD, OUT, BASKET, FROM_WORK, PLACE, SHOP = range(12)
USE, SPECIAL, CLEAR, BESIDE, BESIDE_SIZE, LIFT, ANY_SECTOR, OTHER_ZONE, OTHER_SHOP, HOUR, ORDINARY_HOUR, REFUND = range(
    12, 24
)
STREAMS: Final = 64  # streams of a day; more than are used
STATIC: Final = -1  # the day of draws that a person has once

# Multipliers of splitmix64 (Steele, Lea and Flood 2014) and its increment.
MIX_A: Final = 0xBF58476D1CE4E5B9
MIX_B: Final = 0x94D049BB133111EB
GOLDEN: Final = 0x9E3779B97F4A7C15
ODD: Final = 0xD1342543DE82EF95  # spreads the day and the stream; an odd number, so that no two are equal

# Sizes of a basket: BASKETS equally likely multipliers of the mean, each scaled by 2 ** BASKET_BITS.
BASKETS: Final = 1024
BASKET_BITS: Final = 24

# Columns of a person.
ZONE, WORKS_IN, MONTH, LIQUID, INCOME_DECILE, LIQUID_DECILE, FLAGS = range(7)
PERSON_COLUMNS: Final = 7
# Bits of FLAGS.
ELIGIBLE, OLD, DISABLED, HEAD = 1, 2, 4, 8

# State of a purse.
STAGE, BALANCE, DEBT, CLAIM_DAY, PAYMENTS, SPENT, RETURNED, GRANT = range(8)
PURSE_FIELDS: Final = 8
NO_PURSE, MEMBER, CLAIMED, OVER = range(4)  # stages

# Fields of a decision.
(
    D_REGISTERS,
    D_CLAIMS,
    D_GOES_OUT,
    D_ORDINARY_SHOP,  # position of the shop of the planned purchase, or OUTSIDE
    D_ORDINARY_CELL,
    D_PLANNED,  # the planned purchase, before paying back
    D_PAID_BACK,
    D_USES,
    D_SHOP,  # position of the shop that the purse pays
    D_CELL,
    D_LABEL,
    D_OWN,
    D_SUBSTITUTED,
    D_FORWARD,
    D_NEW,
    D_LIFTED,
    D_TOP_UP,
    D_DECAYED,
    D_REFUNDED,  # from the purse, in a payment that is taken back on the same day
    D_REFUNDED_OWN,
    D_RETURNED,
) = range(21)
DECISION_FIELDS: Final = 21

# Columns of a day.
(
    DAY_OUT,  # share of persons who go out
    DAY_WORKS,  # 1 on days on which persons may shop where they work
    DAY_CLAIMS,  # 1 while packets can be claimed
    DAY_CLAIM_HAZARD,
    DAY_DELIVERED,  # share of packets delivered so far
    DAY_OPEN,  # 1 while a purse pays
    DAY_USE,  # share of planned purchases that a claimed purse pays
    DAY_HAZARD,  # share of special trips without the fading start
    DAY_ENDS,  # 1 if all purses end after this day
) = range(9)
DAY_COLUMNS: Final = 9

# Columns of the rules of a setting.
(
    R_SEED,
    R_ZONES,
    R_SECTORS,
    R_FROM_WORK,
    R_REGISTER,
    R_REGISTER_OLD,
    R_MUST_REGISTER,
    R_CLAIM,
    R_CLAIM_OLD,
    R_NEVER,
    R_AUTOMATIC,
    R_ANYWHERE,  # 1 for cash: every purchase, outside of the city too
    R_HABIT,
    R_CLEAR,
    R_BESIDE,
    R_BESIDE_SIZE,
    R_OWN_MONEY,
    R_SPREAD,
    R_FORWARD,
    R_PAYBACK,
    R_LIFT,
    R_LIFT_REACH,
    R_LIFT_NEW,
    R_PAYMENT_MIN,
    R_PAYMENT_MAX,
    R_PIECE,  # of a coupon: its value; 0 for other money
    R_DIVISIBLE,  # 0: a payment uses up the purse
    R_STACKING,
    R_DECAY_WEEK,
    R_REFUND,
    R_DAYS,
) = range(31)
RULES: Final = 31

# Offsets of the tables of a market, one array of packed 64-bit entries.
M_ZONES, M_CELLS, M_SHOPS, M_SHOP_DATA, M_OPEN_ZONES, M_OPEN_CELLS, M_OPEN_SHOPS = range(7)
OFFSETS: Final = 7
ALIAS_BITS: Final = 32  # an entry of an alias table: threshold << 32 | other index
SIZE_SHIFT: Final = 32  # data of a shop: merchant | size class << 32 | accepts << 40
ACCEPTS_SHIFT: Final = 40

MPC_MAX: Final = 950_000  # a person keeps at least 5 % of a grant
DECILES: Final = 10
DAYS_OF_A_WEEK: Final = 7
