"""Who may have what now: a queue without clock or loop. First come first served, in whole numbers.

Whoever doesn't fit keeps those behind from taking what it still lacks: one behind may only pass where
everybody before it could have what they want just as well afterwards. So the machine isn't idle for the sake of one,
and nobody is passed in what it waits for.
"""

from collections import OrderedDict

from msgspec import Struct

from agenthost.core.machines import Need

_MILLI = 1000


class Amount(Struct, frozen=True):
    """A Need in whole numbers: bytes, thousandths of a core, bytes. Sums of them are exact."""

    memory: int = 0
    cpu: int = 0
    gpu: int = 0

    @classmethod
    def of(cls, need: Need) -> "Amount":
        """A Need; parts of a thousandth count as one."""
        return cls(need.memory, -int(-need.cpu * _MILLI // 1), need.gpu_memory)

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.memory + other.memory, self.cpu + other.cpu, self.gpu + other.gpu)

    def __sub__(self, other: "Amount") -> "Amount":
        return Amount(self.memory - other.memory, self.cpu - other.cpu, self.gpu - other.gpu)

    def fits(self, free: "Amount") -> bool:
        """Whether all of it is there."""
        return self.memory <= free.memory and self.cpu <= free.cpu and self.gpu <= free.gpu

    def spares(self, left: "Amount", owed: "Amount") -> bool:
        """Whether taking this, which leaves `left`, takes nothing from those to whom `owed` is due first."""
        return (
            (not self.memory or left.memory >= owed.memory)
            and (not self.cpu or left.cpu >= owed.cpu)
            and (not self.gpu or left.gpu >= owed.gpu)
        )

    def short(self, free: "Amount") -> "Amount":
        """What of it isn't there."""
        lack = self - free
        return Amount(max(0, lack.memory), max(0, lack.cpu), max(0, lack.gpu))

    def meets(self, other: "Amount") -> bool:
        """Whether both want some of the same thing."""
        return bool(self.memory and other.memory or self.cpu and other.cpu or self.gpu and other.gpu)


class Queue:
    """Holders and those who wait, by a key of the caller's. `whole` is what there is."""

    def __init__(self, whole: Amount) -> None:
        self.whole = whole
        self.held: OrderedDict[int, Amount] = OrderedDict()
        self.waiting: OrderedDict[int, Amount] = OrderedDict()
        self._out = Amount()

    @property
    def free(self) -> Amount:
        """What nobody holds."""
        return self.whole - self._out

    def join(self, key: int, amount: Amount) -> None:
        """Stand at the end."""
        self.waiting[key] = amount

    def leave(self, key: int) -> None:
        """Wait no longer, or hold no longer."""
        self.waiting.pop(key, None)
        amount = self.held.pop(key, None)
        if amount is not None:
            self._out -= amount

    def admit(self) -> list[int]:
        """Those who have it from now on, in order."""
        admitted: list[int] = []
        owed = Amount()
        for key, amount in self.waiting.items():
            left = self.free - amount
            if amount.fits(self.free) and amount.spares(left, owed):
                self.held[key] = amount
                self._out += amount
                admitted.append(key)
            else:
                owed += amount
        for key in admitted:
            del self.waiting[key]
        return admitted

    def lacks(self) -> Amount:
        """What the first one who waits lacks; nothing where nobody waits."""
        for amount in self.waiting.values():
            return amount.short(self.free)
        return Amount()
