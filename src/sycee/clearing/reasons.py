"""Why the house refuses a payment, as codes of ISO 20022's external list ExternalStatusReason1Code, from memory."""

from __future__ import annotations

from typing import Final

NO_RECEIVER: Final = "RC04"  # InvalidCreditorBankIdentifier: the receiver is no participant
NO_CURRENCY: Final = "AM03"  # NotAllowedCurrency: sender or receiver has no position in it
ZERO_AMOUNT: Final = "AM01"  # ZeroAmount
TOO_LARGE: Final = "AM02"  # NotAllowedAmount: above AMOUNT_MAX
WRONG_AMOUNT: Final = "AM09"  # WrongAmount: the two messages of a payment against payment differ
SAME_MESSAGE: Final = "DU01"  # DuplicateMessageID: the sender used the business message id for other payments
SAME_UETR: Final = "DU03"  # DuplicateTransaction: another payment has the UETR
TOO_LATE: Final = "TM01"  # InvalidCutOffTime: not booked by its end
NO_MONEY: Final = "AM04"  # InsufficientFunds: its sender failed a call at the end of the day
CANCELLED: Final = "DS02"  # OrderCancelled: by its sender
BLOCKED: Final = "AC06"  # BlockedAccount: what leaves the position is blocked
NO_ORIGINAL: Final = "ARDT"  # AlreadyReturnedTransaction, or no booked payment to return
