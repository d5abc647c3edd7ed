import threading

from bidwitness.player.cache import Lru


def test_what_was_used_last_stays() -> None:
    cache: Lru[int, str] = Lru(2)
    cache.put(1, "a")
    cache.put(2, "b")
    assert cache.get(1) == "a"
    cache.put(3, "c")
    assert (cache.get(1), cache.get(2), cache.get(3)) == ("a", None, "c")


def test_made_once() -> None:
    cache: Lru[int, str] = Lru(2)
    made: list[int] = []

    def make() -> str:
        made.append(1)
        return "x"

    assert [cache.get_or_make(1, make) for _ in range(3)] == ["x"] * 3
    assert made == [1]


def test_threads_share_it() -> None:
    cache: Lru[int, int] = Lru(50)

    def work() -> None:
        for number in range(2000):
            assert cache.get_or_make(number % 70, lambda n=number: n % 70) == number % 70

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
