"""Methods: what is bound is not given again, and what is not bound is missing."""

from __future__ import annotations

from cachine import AsyncInMemoryCache, InMemoryCache, cached

cache = InMemoryCache()
async_cache = AsyncInMemoryCache()


class Service:
    @cached(cache, ttl=60)
    def method(self, number: int) -> str:
        return str(number)

    @cached(async_cache)
    async def awaited(self, number: int) -> str:
        return str(number)

    @classmethod
    @cached(cache)
    def class_over(cls, number: int) -> str:
        return str(number)

    @cached(cache)
    @classmethod
    def class_under(cls, number: int) -> str:
        return str(number)

    @staticmethod
    @cached(cache)
    def static_over(number: int) -> str:
        return str(number)

    @cached(cache)
    @staticmethod
    def static_under(number: int) -> str:
        return str(number)

    @property
    @cached(cache)
    def total(self) -> int:
        return 1


service = Service()

service.method()  # error
service.method("a")  # error
service.method(service, 1)  # error
service.method(1, 2)  # error
service.method(1, text="a")  # error
service.method.invalidate()  # error
service.method.invalidate(service, 1)  # error
service.method.refresh("a")  # error
service.method.cache_key(1, 2)  # error
service.method.__wrapped__(1).real  # error
Service.method(1)  # error
Service.method(service)  # error
Service.method(service, "a")  # error
Service.method("a", 1)  # error
Service.method.invalidate(1)  # error
number: int = service.method(1)  # error

Service.class_over("a")  # error
Service.class_over(Service, 1)  # error
Service.class_under()  # error
Service.class_under.invalidate(Service, 1)  # error
service.class_over("a")  # error
service.class_under(1, 2)  # error
another: int = Service.class_over(1)  # error

Service.static_over("a")  # error
Service.static_under()  # error
service.static_over("a")  # error
service.static_under(service, 1)  # error
service.static_over.invalidate("a")  # error
third: int = service.static_under(1)  # error

service.total()  # error
service.total.invalidate()  # error
fourth: str = service.total  # error


async def use() -> None:
    await service.awaited("a")  # error
    await service.awaited(service, 1)  # error
    await service.awaited.invalidate()  # error
    await Service.awaited(1)  # error
    fifth: int = await service.awaited(1)  # error
    print(fifth)
