"""The clearing house of one bank: its register, positions and payments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from sycee.clearing.arrivals import Arrivals
from sycee.clearing.corridors import Corridors
from sycee.clearing.gross import Gross
from sycee.clearing.house import Register
from sycee.clearing.house_days import HouseDays
from sycee.clearing.inbox import Inbox
from sycee.clearing.investigations import Investigations
from sycee.clearing.limits import Limits
from sycee.clearing.messages import Messages
from sycee.clearing.pay_outs import PayOuts
from sycee.clearing.payments import Payments
from sycee.clearing.permits import Permits
from sycee.clearing.positions import Positions
from sycee.clearing.rates import Rates
from sycee.clearing.receiving import Receiving
from sycee.clearing.sets import Sets
from sycee.compliance.enforcement.service import Compliance
from sycee.core.errors import SyceeError
from sycee.database.stores import Stores
from sycee.identity.people import People
from sycee.identity.proposals import Proposals
from sycee.issuance.registry import Registry
from sycee.sequencer.signer import Signer

if TYPE_CHECKING:
    from sycee.clearing.forwarding import Forwarding
    from sycee.clearing.gateway import Gateway
    from sycee.clearing.intake import Intake
    from sycee.clearing.member_messages import MemberMessages
    from sycee.clearing.received_statements import ReceivedStatements


class Clearing:
    """The parts of the house. docs/reference/clearing.md lists their verbs.

    - `compliance`: screens payments across a border; None for a bank whose payments need no permit.
    - `folder`: of files of certificates. `zone`: of the day whose payments count against limits.
    """

    def __init__(
        self, stores: Stores, people: People, proposals: Proposals, registry: Registry, compliance: Compliance | None,
        folder: Path, zone: ZoneInfo,
    ) -> None:  # fmt: skip
        self._stores, self._zone, self._clock = stores, zone, stores.clock
        self.register = Register(stores, people, proposals, registry)
        self.positions = Positions(stores, people, registry, self.register)
        self.receiving = Receiving(stores, people, self.register, screens=compliance is not None)
        self.permits = Permits(stores, compliance)
        self.payments = Payments(stores)
        self.pay_outs = PayOuts(stores, self.positions)
        self.messages = Messages(stores)
        self.inbox = Inbox(stores)
        self.investigations = Investigations(stores)
        self.limits = Limits(stores, people, self.register, zone)
        self.corridors = Corridors(stores, proposals, self.register, self.receiving, self.permits)
        self.rates = Rates(stores, registry)
        self.gross = Gross(stores, people, self.register, self.positions, self.limits, self.permits)
        self.sets = Sets(stores, people, self.register, self.positions, self.limits, self.permits, self.rates, folder)
        self.arrivals = Arrivals(people, self.register, self.payments, self.gross, self.sets)
        self._arrived: Callable[[Sequence[int]], None] | None = None
        self.house_days = HouseDays(
            stores, people, self.register, self.positions, self.payments, self.gross, self.sets, self.pay_outs
        )

    def gateway(self) -> Gateway:
        """Return the reader and writer of messages. The extra `clearing` is needed."""
        from sycee.clearing.gateway import Gateway

        return Gateway(self.register, self.receiving, self.permits, self.payments, self._zone)

    def settle_on_arrival(
        self, *, signers: Sequence[Signer], who: int, failed: Callable[[SyceeError], None] | None = None
    ) -> None:
        """Settle the payments of each later delivery before it is answered (`arrivals.settle`). The house signs.

        Raises the errors of `arrivals.settle` now, for a person without the duty. `failed`: called with an error of a
        later one, whose payments stay queued; without it the delivery raises the error, and is not answered.
        """
        self.arrivals.settle([], signers=signers, who=who)

        def settle(numbers: Sequence[int]) -> None:
            try:
                self.arrivals.settle(numbers, signers=signers, who=who)
            except SyceeError as error:
                if failed is None:
                    raise
                failed(error)

        self._arrived = settle

    def intake(self, house: str) -> Intake:
        """Return what takes deliveries and answers them. `house`: its name in answers."""
        from sycee.clearing.intake import Intake
        from sycee.iso20022.institutions import Institution

        named = Institution(name=house)
        return Intake(
            self.gateway(), self.receiving, self.payments, self.requests(house), self._clock, named, self._arrived
        )

    def requests(self, house: str) -> MemberMessages:
        """Return what answers messages that are no payments. `house`: its name in answers."""
        from sycee.clearing.account_days import AccountDays
        from sycee.clearing.member_messages import MemberMessages
        from sycee.iso20022.institutions import Institution

        days, named = AccountDays(self._stores, self.register, self._zone), Institution(name=house)
        return MemberMessages(
            self.register, self.receiving, self.payments, self.investigations, self.pay_outs, days, named, self._zone
        )

    def received_statements(self) -> ReceivedStatements:
        """Return what compares statements of other institutions with positions. The extra `clearing` is needed."""
        from sycee.clearing.account_days import AccountDays
        from sycee.clearing.received_statements import ReceivedStatements

        days = AccountDays(self._stores, self.register, self._zone)
        return ReceivedStatements(self.register, days, self._zone)

    def forwarding(self, house: str) -> Forwarding:
        """Return the builder of inbox messages. `house`: its name in them."""
        from sycee.clearing.forwarding import Forwarding
        from sycee.iso20022.institutions import Institution

        named = Institution(name=house)
        return Forwarding(self.register, self.receiving, self.payments, self.investigations, named)

    def services(self) -> Sequence[Any]:
        """Return the parts that compare SQL with the ledger."""
        return (self.register, self.payments, self.sets)
