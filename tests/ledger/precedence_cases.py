"""Faults of each kind of operation with their codes; tests/ledger/test_precedence.py combines them.

The first line of a kind has an operation that succeeds and, after bars, the lines that precede it. Each line below has
one or more codes, and the changes that give all of them: fields of the record, and the settings of this list.

    FIELD=VALUE             a field of the record; an id is a name, or a number after #
    rules.N.OPTION=VALUE    an option of rule set N: 1 of the payer, 2 of the payee, 3 of the programme
    payee=KIND              the kind of the payee's account
    at=NS                   the time of the operation
    ?WORD=VALUE             no effect; faults with different values of a word cannot be combined
    : LINE ; LINE           further lines before the operation; they may begin on the next line, after a colon at the
                            end of this line

Two faults can be combined unless they give different values for the same field; the greater of two amounts is used.
`@pair` includes the lines of PAIR.
"""

from __future__ import annotations

WORLD = """
    currency  156       UTC
    open      issuance  ISSUANCE
    open      suspense  SUSPENSE
    open      treasury  FUNDER
    open      payer     WALLET
    open      cafe      MERCHANT
    open      vault     VAULT
    open      way       IN_TRANSIT
    open      other     IN_TRANSIT
    open      issuers   SUSPENSE    operator=0
    open      stranger  WALLET      operator=2  suspense=issuers
    open      closed    WALLET
    close     closed
    currency  978       Europe/Paris
    open      euros     SUSPENSE    currency=978
    open      euro      WALLET      currency=978  suspense=euros
    open      tube      IN_TRANSIT  currency=978  suspense=euros
    group     9
    transfer  issuance  treasury  10_000
    transfer  treasury  payer     100
"""

PAIR = """
    AMOUNT_MUST_BE_POSITIVE      amount=0
    ACCOUNT_ID_MUST_NOT_BE_ZERO  debit=0
    ACCOUNTS_MUST_BE_DIFFERENT   debit=payer credit=payer
    ACCOUNT_ID_MUST_NOT_BE_ZERO ACCOUNTS_MUST_BE_DIFFERENT  debit=0 credit=0
    ACCOUNTS_MUST_BE_DIFFERENT DEBIT_ACCOUNT_NOT_FOUND  debit=nobody credit=nobody
    DEBIT_ACCOUNT_NOT_FOUND      debit=nobody
    CREDIT_ACCOUNT_NOT_FOUND     credit=someone
    CURRENCIES_MUST_MATCH        debit=payer credit=euro
    ACCOUNT_IS_IN_TRANSIT        credit=other
    CURRENCIES_MUST_MATCH ACCOUNT_IS_IN_TRANSIT  credit=tube
    ACCOUNT_IS_IN_TRANSIT PAYEE_NOT_ALLOWED  debit=payer credit=other rules.1.groups=9
    PAYEE_NOT_ALLOWED            debit=payer credit=payee rules.1.groups=9
    PERSONS_NOT_ALLOWED          debit=payer credit=payee payee=WALLET rules.1.flags=persons
    CASH_OUT_NOT_ALLOWED         debit=payer credit=payee payee=VAULT  rules.1.flags=cash
"""
MONEY = """
    DEBIT_ACCOUNT_CLOSED         debit=payer  : empty payer ; close payer
    CREDIT_ACCOUNT_CLOSED        credit=payee : empty payee ; close payee
    DEBIT_ACCOUNT_BLOCKED        debit=payer  : block payer debit
    CREDIT_ACCOUNT_BLOCKED       credit=payee : block payee credit
    RULE_SET_NOT_IN_FORCE        credit=payee rules.2.from=5_000
    RESERVED_FOR_REFUNDS         debit=payer  rules.1.reserve=96
    EXCEEDS_DAY_LIMIT            debit=payer  rules.1.day=4
    EXCEEDS_MONTH_LIMIT          debit=payer  rules.1.month=4
    EXCEEDS_YEAR_LIMIT           debit=payer  rules.1.year=4
    EXCEEDS_BALANCE_LIMIT        credit=payee rules.2.balance=4
"""
GIVING = """
    OVERFLOWS_DEBITS             debit=payer  amount=2^63-1 : transfer payer treasury 1
    OVERFLOWS_CREDITS            credit=payee amount=2^63-1 : transfer treasury payee 1
    EXCEEDS_BALANCE              debit=payer  amount=101
    EXCEEDS_SINGLE_LIMIT         debit=payer  rules.1.single=4
"""
PROGRAMME = "programme 3 payer 2 claim=0..500 | members 3 A B"

KINDS = f"""
DEFINE_CURRENCY | currency 840 UTC
    FLAGS_UNKNOWN                flags=64
    FIELD_MUST_BE_ZERO           amount=1
    NUMBER_OUT_OF_RANGE          number=1_000
    ZONE_MUST_NOT_BE_EMPTY       debit=#256
    CURRENCY_EXISTS              number=156
    TOO_MANY_CURRENCIES          : fill currencies
DEFINE_GROUP | group 5
    FLAGS_UNKNOWN                flags=64
    FIELD_MUST_BE_ZERO           amount=1
    NUMBER_OUT_OF_RANGE          number=0
    GROUP_EXISTS                 number=5 : group 5
JOIN_GROUP | join 9 payer
    @group
LEAVE_GROUP | leave 9 payer
    @group
DEFINE_RULE_SET | rules 5
    FLAGS_UNKNOWN                flags=16
    AMOUNT_MUST_BE_POSITIVE      balance_max=-1
    AMOUNT_MUST_BE_POSITIVE      refund_reserve=-1
    NUMBER_OUT_OF_RANGE          number=0
    NUMBER_OUT_OF_RANGE          groups=4_097
    WINDOW_MUST_END_AFTER_START  until_ns=-1
    GROUP_NOT_FOUND              groups=77
    RULE_SET_EXISTS              number=5 effective_ns=0     ?defined=yes : rules 5
    RULE_SET_NOT_FOUND           number=5 effective_ns=5_000 ?defined=no
    RULE_SET_MUST_KEEP_WINDOW    number=5 effective_ns=5_000 ?defined=yes : rules 5 until=77
    RETURN_ACCOUNT_NOT_FOUND     return=nobody
    RETURN_ACCOUNT_NOT_FOUND     return=way
GRANT_ROLE | grant lin OFFICER
    FLAGS_UNKNOWN                flags=0
    FIELD_MUST_BE_ZERO           count=1
    FIELD_MUST_BE_ZERO           number=156 first=3
    ACCOUNT_ID_MUST_NOT_BE_ZERO  debit=0
    NUMBER_OUT_OF_RANGE CURRENCY_NOT_FOUND  number=1_000 ?role=officer
    ROLE_UNKNOWN                 first=9 ?role=none
    WINDOW_MUST_END_AFTER_START  until_ns=-1
    KEY_MUST_NOT_BE_ZERO         credit=0 reference=0
    CURRENCY_NOT_FOUND           number=840 ?role=officer
    KEY_IS_ANOTHERS              : grant wu WITNESS key=lin
REVOKE_ROLE | revoke role | grant lin OFFICER id=role
    FLAGS_UNKNOWN                flags=64
    FIELD_MUST_BE_ZERO           amount=1
    ACCOUNT_ID_MUST_NOT_BE_ZERO GRANT_NOT_FOUND  reference=0
    GRANT_NOT_FOUND              reference=nobody
    GRANT_REVOKED                reference=role ?alone=yes : revoke role
    OFFICERS_MUST_REMAIN         reference=role ?alone=no  : grant wu OFFICER
    GRANT_REVOKED OFFICERS_MUST_REMAIN  reference=role ?alone=late at=10 :
        grant wu OFFICER until=10 ; grant ma OFFICER ; revoke role
UPGRADE | upgrade 2
    FLAGS_UNKNOWN                flags=64
    FIELD_MUST_BE_ZERO           amount=1
    NUMBER_OUT_OF_RANGE          number=0
    ZONE_MUST_NOT_BE_EMPTY       debit=#256
    RULES_NOT_NEWER              : upgrade 2
OPEN_ACCOUNT | open new WALLET
    FLAGS_UNKNOWN                flags=64
    FIELD_MUST_BE_ZERO           amount=1
    ACCOUNT_ID_MUST_NOT_BE_ZERO  debit=0
    ACCOUNTS_MUST_BE_DIFFERENT   debit=new credit=new
    ACCOUNT_ID_MUST_NOT_BE_ZERO ACCOUNTS_MUST_BE_DIFFERENT  debit=0 credit=0 ?needs=suspense
    NUMBER_OUT_OF_RANGE          number=0
    NUMBER_OUT_OF_RANGE          rule_set=65_536
    ACCOUNT_KIND_UNKNOWN         first=9 ?needs=suspense
    CURRENCY_NOT_FOUND           number=840
    RULE_SET_NOT_FOUND           rule_set=99
    ACCOUNT_EXISTS               debit=payer
    ISSUANCE_EXISTS              first=1 credit=0 number=156 ?needs=nothing
    SUSPENSE_NOT_FOUND           credit=nobody ?needs=suspense
BLOCK_ACCOUNT | block payer debit
    @stay
UNBLOCK_ACCOUNT | unblock payer debit
    @stay
CLOSE_ACCOUNT | close cafe
    FLAGS_UNKNOWN                flags=64
    FIELD_MUST_BE_ZERO           amount=1
    ACCOUNT_ID_MUST_NOT_BE_ZERO  debit=0
    REASON_UNKNOWN               first=8
    ACCOUNT_NOT_FOUND            debit=nobody
    ACCOUNT_MUST_STAY_OPEN       debit=suspense
    ACCOUNT_MUST_STAY_OPEN ACCOUNT_NOT_EMPTY  debit=issuance
    ACCOUNT_CLOSED               debit=closed
    ACCOUNT_NOT_EMPTY            debit=payer
    ACCOUNT_NOT_EMPTY            debit=cafe : transfer treasury payee 5 ; hold payee cafe 5 until=900
SET_RULE_SET | setrules payer 0
    FLAGS_UNKNOWN                flags=64
    FIELD_MUST_BE_ZERO           amount=1
    ACCOUNT_ID_MUST_NOT_BE_ZERO  debit=0
    NUMBER_OUT_OF_RANGE RULE_SET_NOT_FOUND  rule_set=65_536
    RULE_SET_NOT_FOUND           rule_set=99
    ACCOUNT_NOT_FOUND            debit=nobody
    ACCOUNT_CLOSED               debit=closed
SET_KEY | key payer phone
    FLAGS_UNKNOWN                flags=4
    FIELD_MUST_BE_ZERO           amount=1
    ACCOUNT_ID_MUST_NOT_BE_ZERO  debit=0
    KEY_MUST_NOT_BE_ZERO         credit=0 reference=0
    ACCOUNT_NOT_FOUND            debit=nobody
    ACCOUNT_CLOSED               debit=closed
LINK_ACCOUNT | link payer way
    FLAGS_UNKNOWN                flags=64
    FIELD_MUST_BE_ZERO           amount=1
    ACCOUNT_ID_MUST_NOT_BE_ZERO  debit=0
    ACCOUNTS_MUST_BE_DIFFERENT   debit=payer credit=payer
    ACCOUNT_ID_MUST_NOT_BE_ZERO ACCOUNTS_MUST_BE_DIFFERENT  debit=0 credit=0
    ACCOUNTS_MUST_BE_DIFFERENT ACCOUNT_NOT_FOUND  debit=nobody credit=nobody
    ACCOUNT_NOT_FOUND            debit=nobody
    CREDIT_ACCOUNT_NOT_FOUND     credit=someone
    CURRENCIES_MUST_MATCH        credit=tube
    LINK_KIND_WRONG              credit=vault
    CURRENCIES_MUST_MATCH LINK_KIND_WRONG  credit=euro
    ACCOUNT_CLOSED               debit=closed
OPEN_PROGRAMME | programme 3 payer 2
    FLAGS_UNKNOWN                flags=64
    FIELD_MUST_BE_ZERO           amount=1
    ACCOUNT_ID_MUST_NOT_BE_ZERO  debit=0
    NUMBER_OUT_OF_RANGE          number=0
    NUMBER_OUT_OF_RANGE          rule_set=0
    COUNT_OUT_OF_RANGE           count=0
    WINDOW_MUST_END_AFTER_START  until_ns=-1
    RULE_SET_NOT_FOUND           rule_set=99
    PROGRAMME_EXISTS             number=3 : programme 3 payer 1
    RETURN_ACCOUNT_NOT_FOUND     rule_set=4 : rules 4
    DEBIT_ACCOUNT_NOT_FOUND      debit=nobody
    CURRENCIES_MUST_MATCH        debit=euro
    ACCOUNT_IS_IN_TRANSIT        debit=way
    CURRENCIES_MUST_MATCH ACCOUNT_IS_IN_TRANSIT  debit=tube
ADD_MEMBERS | members 3 A first=0 | programme 3 payer 2
    FLAGS_UNKNOWN                flags=64
    FIELD_MUST_BE_ZERO           credit=#1 count=1
    ACCOUNT_ID_MUST_NOT_BE_ZERO  debit=0   count=1
    NUMBER_OUT_OF_RANGE          number=0
    COUNT_OUT_OF_RANGE           count=6
    PROGRAMME_NOT_FOUND          number=99
    COHORT_SEALED                number=3 : members 3 A B ; seal 3
    COHORT_SEALED MEMBER_NOT_FOUND       number=3 first=2 : members 3 A B ; seal 3
    MEMBER_NOT_FOUND MEMBERS_OUT_OF_ORDER  first=2
    MEMBERS_OUT_OF_ORDER         first=1
SEAL_COHORT | seal 3 A B | {PROGRAMME}
    FLAGS_UNKNOWN                flags=64
    FIELD_MUST_BE_ZERO           amount=1
    NUMBER_OUT_OF_RANGE PROGRAMME_NOT_FOUND  number=0
    PROGRAMME_NOT_FOUND          number=99
    COHORT_SEALED                number=3 : seal 3 A B
    COHORT_INCOMPLETE COHORT_DIGEST_DIFFERS  number=4 : programme 4 payer 2 rules=3
    COHORT_DIGEST_DIFFERS        debit=#5
DROP | drop 3 0..2 5 seal=sealed | {PROGRAMME} | seal 3 id=sealed
    FLAGS_UNKNOWN                flags=64
    FIELD_MUST_BE_ZERO           until_ns=1
    AMOUNT_MUST_BE_POSITIVE      amount=0
    ACCOUNT_ID_MUST_NOT_BE_ZERO  reference=0
    NUMBER_OUT_OF_RANGE PROGRAMME_NOT_FOUND  number=0
    COUNT_OUT_OF_RANGE           count=0
    PROGRAMME_NOT_FOUND          number=99
    COHORT_NOT_SEALED SEAL_DIFFERS  number=4 : programme 4 payer 2 rules=3
    SEAL_DIFFERS                 reference=nobody
    MEMBER_NOT_FOUND             first=1
    DEBIT_ACCOUNT_CLOSED         number=3 : empty payer ; close payer
    DEBIT_ACCOUNT_BLOCKED        number=3 : block payer debit
    PROGRAMME_EXPIRED            at=900
    OVERFLOWS_DEBITS             amount=2^62
    EXCEEDS_BALANCE              amount=51
    RESERVED_FOR_REFUNDS         rules.1.reserve=91
    EXCEEDS_DAY_LIMIT            rules.1.day=9
    EXCEEDS_MONTH_LIMIT          rules.1.month=9
    EXCEEDS_YEAR_LIMIT           rules.1.year=9
    EXCEEDS_BALANCE_LIMIT        rules.3.balance=4
CLAIM | claim 3 A payee member=0 | {PROGRAMME} | seal 3 | drop 3 0..1 5
    FLAGS_UNKNOWN                flags=64
    FIELD_MUST_BE_ZERO           amount=1
    ACCOUNT_ID_MUST_NOT_BE_ZERO  credit=0
    NUMBER_OUT_OF_RANGE PROGRAMME_NOT_FOUND  number=0
    PROGRAMME_NOT_FOUND          number=99
    CREDIT_ACCOUNT_NOT_FOUND     credit=someone
    COHORT_NOT_SEALED MEMBER_DIFFERS PURSE_NOT_DROPPED  number=4 : programme 4 payer 2 rules=3
    MEMBER_NOT_FOUND             first=7
    MEMBER_DIFFERS               first=0 reference=nobody
    MEMBER_DIFFERS PURSE_NOT_DROPPED  first=1 reference=nobody
    CURRENCIES_MUST_MATCH        credit=euro
    ACCOUNT_IS_IN_TRANSIT        credit=way
    CURRENCIES_MUST_MATCH ACCOUNT_IS_IN_TRANSIT  credit=tube
    ACCOUNT_IS_IN_TRANSIT CREDIT_ACCOUNT_CLOSED  credit=other : close other
    CREDIT_ACCOUNT_CLOSED        credit=payee : empty payee ; close payee
    CREDIT_ACCOUNT_BLOCKED       credit=payee : block payee credit
    PURSE_NOT_DROPPED            number=3 first=1 reference=B
    PURSE_CLAIMED                number=3 first=0 reference=A : claim 3 A cafe
    PROGRAMME_EXPIRED CLAIM_WINDOW_CLOSED  at=900
    CLAIM_WINDOW_CLOSED          at=500
    CLAIM_WINDOW_NOT_OPEN        number=5 first=0 reference=A :
        programme 5 payer 1 rules=3 claim=2000..3000 ; members 5 A ; seal 5 ; drop 5 0..1 5
    TOO_MANY_PURSES              credit=payee : fill payee
EXPIRE | expire 3 0..2 | {PROGRAMME} | seal 3 | drop 3 0..2 5 | at 900
    FLAGS_UNKNOWN                flags=64
    FIELD_MUST_BE_ZERO           amount=1
    NUMBER_OUT_OF_RANGE PROGRAMME_NOT_FOUND  number=0
    COUNT_OUT_OF_RANGE           count=0
    PROGRAMME_NOT_FOUND          number=99
    COHORT_NOT_SEALED            number=4 : programme 4 payer 2 rules=3
    MEMBER_NOT_FOUND             first=1
    PROGRAMME_NOT_EXPIRED        number=5 :
        rules 4 return=vault ; programme 5 payer 2 rules=4 ; members 5 A B ; seal 5 ; drop 5 0..2 5
    OVERFLOWS_CREDITS            : fill vault
TRANSFER | transfer payer payee 5
    FLAGS_UNKNOWN                flags=64
    FIELD_MUST_BE_ZERO           number=1
    @pair
    @money
    @giving
PAY | pay payer payee 5
    FLAGS_UNKNOWN                flags=3
    FIELD_MUST_BE_ZERO           number=1
    @pair
    @money
    @giving
REFUND | refund paid 5 | pay payer payee 20 id=paid
    FLAGS_UNKNOWN                flags=64
    FIELD_MUST_BE_ZERO           until_ns=1
    AMOUNT_MUST_BE_POSITIVE      amount=0
    ACCOUNT_ID_MUST_NOT_BE_ZERO ORIGINAL_NOT_FOUND  reference=0
    ORIGINAL_NOT_FOUND           reference=nobody
    ORIGINAL_IS_NOT_A_PAY        reference=sent   : transfer payer payee 1 id=sent
    ORIGINAL_IS_NOT_A_PAY ORIGINAL_WAS_REFUSED  reference=failed : transfer payer payee 999 id=failed EXCEEDS_BALANCE
    ORIGINAL_WAS_REFUSED         reference=poor   : pay payer payee 999 id=poor EXCEEDS_BALANCE
    ORIGINAL_WAS_REFUSED DEBIT_ACCOUNT_CLOSED  reference=poor ?payee=closed :
        pay payer payee 999 id=poor EXCEEDS_BALANCE ; empty payee ; close payee
    DEBIT_ACCOUNT_CLOSED         reference=paid   : empty payee ; close payee
    DEBIT_ACCOUNT_BLOCKED        reference=paid   : block payee debit
    REFUND_WINDOW_CLOSED         rules.2.window=1 at=1_000_000_000
    EXCEEDS_REFUNDABLE           reference=paid amount=21
    EXCEEDS_REFUNDABLE OVERFLOWS_DEBITS   reference=paid amount=2^63-1 : transfer payee treasury 1
    OVERFLOWS_DEBITS OVERFLOWS_CREDITS EXCEEDS_BALANCE  reference=big amount=2^62 ?big=spent : @big 2^62
    OVERFLOWS_CREDITS EXCEEDS_BALANCE     reference=big amount=2^62 ?big=half  : @big 2^61
    EXCEEDS_BALANCE              reference=paid : empty payee
HOLD | hold payer payee 5 until=900 third=cafe
    FLAGS_UNKNOWN                flags=12
    FIELD_MUST_BE_ZERO           from_ns=1
    RELEASER_NOT_FOUND           reference=nobody
    HOLD_MUST_END_LATER          until_ns=0
    @pair
    @money
    @giving
POST | post held payee 5 | hold payer payee 50 until=900 id=held
    FLAGS_UNKNOWN                flags=64
    FIELD_MUST_BE_ZERO           flags=0 number=1
    AMOUNT_MUST_BE_POSITIVE      amount=0
    ACCOUNT_ID_MUST_NOT_BE_ZERO  debit=0
    PREIMAGE_DIFFERS             flags=2
    DEBIT_ACCOUNT_BLOCKED        : block payer debit
    CREDIT_ACCOUNT_BLOCKED       : block payee credit
    EXCEEDS_HELD                 amount=51
    @held
    NOT_A_PARTY_TO_HOLD          debit=cafe
VOID | void held payee | hold payer payee 50 until=900 id=held
    FLAGS_UNKNOWN                flags=64
    FIELD_MUST_BE_ZERO           amount=1
    ACCOUNT_ID_MUST_NOT_BE_ZERO  debit=0
    @held
    NOT_A_PARTY_TO_HOLD          debit=payer
EXTEND | extend held payer 950 | hold payer payee 50 until=900 id=held
    FLAGS_UNKNOWN                flags=64
    FIELD_MUST_BE_ZERO           amount=1
    ACCOUNT_ID_MUST_NOT_BE_ZERO  debit=0
    @held
    NOT_A_PARTY_TO_HOLD          debit=payee
    HOLD_MUST_END_LATER          until_ns=9
POST_HOLDS | postholds one two payee | hold payer payee 5 until=900 id=one | hold payer payee 5 until=900 id=two
    @bulk
VOID_HOLDS | voidholds one two payee | hold payer payee 5 until=900 id=one | hold payer payee 5 until=900 id=two
    @bulk
REVERSE | reverse paid 5 | pay payer payee 20 id=paid
    FLAGS_UNKNOWN                flags=64
    FIELD_MUST_BE_ZERO           until_ns=1
    AMOUNT_MUST_BE_POSITIVE      amount=0
    ACCOUNT_ID_MUST_NOT_BE_ZERO ORIGINAL_NOT_FOUND  reference=0
    ORIGINAL_NOT_FOUND           reference=nobody
    ORIGINAL_NOT_REVERSIBLE      reference=group : group 8 id=group
    ORIGINAL_NOT_REVERSIBLE ORIGINAL_WAS_REFUSED  reference=failed : group 9 id=failed GROUP_EXISTS
    ORIGINAL_NOT_REVERSIBLE EXCEEDS_REFUNDABLE  reference=settled amount=21 :
        rules 7 flags=final ; open vendor MERCHANT rules=7 ; transfer payer vendor 1 id=settled
    ORIGINAL_WAS_REFUSED         reference=poor  : pay payer payee 999 id=poor EXCEEDS_BALANCE
    ORIGINAL_WAS_REFUSED EXCEEDS_REFUNDABLE  reference=poor amount=1_000 : pay payer payee 999 id=poor EXCEEDS_BALANCE
    EXCEEDS_REFUNDABLE           reference=paid amount=21
    EXCEEDS_REFUNDABLE OVERFLOWS_DEBITS   reference=paid amount=2^63-1 : transfer payee treasury 1
    OVERFLOWS_DEBITS OVERFLOWS_CREDITS    reference=big amount=2^62 ?big=spent : @big 2^62
    OVERFLOWS_CREDITS            reference=big amount=2^62 ?big=half  : @big 2^61
SEND | send payer payee 5
    FLAGS_UNKNOWN                flags=2
    FIELD_MUST_BE_ZERO           number=1
    TRANSIT_ACCOUNT_NOT_FOUND    reference=cafe
    TRANSIT_ACCOUNT_NOT_FOUND CURRENCIES_MUST_MATCH  reference=euros
    CREDIT_ACCOUNT_CLOSED        reference=way : close way
    CREDIT_ACCOUNT_BLOCKED       reference=way : block way credit
    @pair
    @money
    @giving
CONFIRM | confirm sent | send payer payee 20 id=sent
    FLAGS_UNKNOWN                flags=64
    FIELD_MUST_BE_ZERO           amount=1
    ACCOUNT_ID_MUST_NOT_BE_ZERO TRANSIT_NOT_FOUND  reference=0
    TRANSIT_NOT_FOUND            reference=nobody
    TRANSIT_DONE                 reference=sent : confirm sent
    OVERFLOWS_CREDITS            : fill suspense ; block payee credit
REJECT | reject sent | send payer payee 20 id=sent
    FLAGS_UNKNOWN                flags=64
    FIELD_MUST_BE_ZERO           amount=1
    ACCOUNT_ID_MUST_NOT_BE_ZERO TRANSIT_NOT_FOUND  reference=0
    TRANSIT_NOT_FOUND            reference=nobody
    TRANSIT_DONE                 reference=sent : confirm sent
    OVERFLOWS_CREDITS            : fill payer
STAGE | stage 1 payer payee 5
    FLAGS_UNKNOWN                flags=64
    FIELD_MUST_BE_ZERO           from_ns=1
    NUMBER_OUT_OF_RANGE          number=0
    BATCH_NOT_FOUND              number=9
    BATCH_DONE                   number=1 ?batch=done : stage 1 payer payee 1 ; discard 1 1 1
    BATCH_OF_ANOTHER_OPERATOR    number=1 ?batch=strangers : stage 1 stranger payee 1
    OVERFLOWS_CREDITS            number=1 amount=2^63-1 ?batch=begun : stage 1 payer payee 1
    @pair
SETTLE | settle 1 1 5 | stage 1 payer payee 5
    FLAGS_UNKNOWN                flags=64
    FIELD_MUST_BE_ZERO           from_ns=1
    AMOUNT_MUST_BE_POSITIVE      amount=0
    NUMBER_OUT_OF_RANGE          number=0
    COUNT_OUT_OF_RANGE           count=0
    BATCH_NOT_FOUND              number=9
    BATCH_DONE BATCH_DIFFERS     number=2 : stage 2 payer payee 1 ; discard 2 1 1
    BATCH_OF_ANOTHER_OPERATOR    first=2
    BATCH_DIFFERS                number=1 count=3
    OVERFLOWS_DEBITS EXCEEDS_BALANCE   number=1 count=2 amount=2^63-2 :
        transfer payer treasury 2 ; stage 1 payer payee 2^63-7
    OVERFLOWS_CREDITS EXCEEDS_BALANCE  number=1 count=2 amount=2^63-2 :
        transfer treasury payee 2 ; stage 1 payer payee 2^63-7
    EXCEEDS_BALANCE              number=1 count=1 : empty payer
    @settling
"""
# Lines shared by several kinds.
SHARED = {
    "pair": PAIR,
    "money": MONEY,
    "giving": GIVING,
    "settling": MONEY.replace("debit=payer", "number=1").replace("credit=payee", "number=1"),
    "group": """
        FLAGS_UNKNOWN                flags=64
        FIELD_MUST_BE_ZERO           amount=1
        ACCOUNT_ID_MUST_NOT_BE_ZERO  debit=0
        NUMBER_OUT_OF_RANGE GROUP_NOT_FOUND  number=0
        GROUP_NOT_FOUND              number=77
        ACCOUNT_NOT_FOUND            debit=nobody
    """,
    "stay": """
        FLAGS_UNKNOWN                flags=0
        FIELD_MUST_BE_ZERO           amount=1
        ACCOUNT_ID_MUST_NOT_BE_ZERO  debit=0
        REASON_UNKNOWN               first=8
        ACCOUNT_NOT_FOUND            debit=nobody
        ACCOUNT_MUST_STAY_OPEN       debit=suspense
        ACCOUNT_CLOSED               debit=closed
    """,
    "held": """
        HOLD_NOT_FOUND               reference=nobody
        HOLD_DONE                    reference=done  : hold payer payee 5 until=900 id=done ; void done payee
        HOLD_TIMED_OUT               reference=short at=10 : hold payer payee 5 until=10 id=short
    """,
    "bulk": """
        FLAGS_UNKNOWN                flags=64
        FIELD_MUST_BE_ZERO           amount=1
        ACCOUNT_ID_MUST_NOT_BE_ZERO  debit=0
        HOLD_NOT_FOUND               debit=nobody
        HOLD_NOT_FOUND               credit=nobody
        HOLDS_OUT_OF_ORDER           debit=two credit=one
    """,
}
