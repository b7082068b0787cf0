"""emsim under load: places for requests and tasks, queues, and what is beyond them."""
import threading
import time
import unittest

from em_client import EmsimCase


class Load(EmsimCase):
    def together(self, count):
        """So many requests at once, each on its own connection: their status codes, and how long all took."""
        clients = [self.client() for _ in range(count)]
        for client in clients:
            client.token = self.em.token
            client.connection.connect()
        answers = []
        threads = [threading.Thread(target=lambda client=client: answers.append(client.get("/tasks"))) for client in clients]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        return sorted(answer.status for answer in answers), time.monotonic() - began

    def test_requests_wait_for_a_place(self):
        self.sim.behave(places=2, service_ms=400)
        status, seconds = self.together(6)
        self.assertEqual(status, [200] * 6)
        self.assertGreaterEqual(seconds, 1.19)

    def test_too_many_are_refused_at_once(self):
        self.sim.behave(places=1, service_ms=2000, queue_max=2, overload_status=503, retry_after_s=9)
        self.assertEqual(self.together(5)[0], [200] * 2 + [503] * 3)
        self.assertEqual(self.sim.truth()["refused_by_load"], 3)

    def test_four_times_the_places_unless_told(self):
        self.sim.behave(places=1, service_ms=700)
        self.assertEqual(self.together(6)[0], [200] * 4 + [500] * 2)

    def test_what_is_refused_takes_no_effect(self):
        self.sim.behave(places=1, service_ms=1500, queue_max=1)
        slow = threading.Thread(target=self.client().logon)
        slow.start()
        self.wait_for_load()
        self.assert_error(self.em.request("POST", "/jobs/x?action=clone", b"<x/>"), 500, "too busy")
        slow.join(30)
        self.assertEqual(self.sim.truth()["clones"], [])

    def wait_for_load(self):
        until = time.monotonic() + 20
        while self.sim.truth()["requests"]["logon"] < 2 and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(0.1)

    def done(self):
        return sum(clone["state"] == "done" for clone in self.sim.truth()["clones"])

    def seconds_for(self, count, name):
        """How long it takes until so many more clones are done."""
        before = self.done()
        began = time.monotonic()
        for i in range(count):
            self.clone(f"{name} {i}")
        while self.done() < before + count:
            time.sleep(0.01)
            self.assertLess(time.monotonic() - began, 30)
        return time.monotonic() - began

    def test_tasks_wait_for_a_place(self):
        self.sim.behave(task_ms=500, task_places=2, task_crowd=100)
        self.assertGreaterEqual(self.seconds_for(6, "Waits"), 1.45)

    def test_tasks_slow_each_other(self):
        self.sim.behave(task_ms=1000, task_places=10, task_crowd=2)
        self.assertGreaterEqual(self.seconds_for(6, "Crowd"), 2)  # the last of 6: three times as long

    def test_wrong_values(self):
        for wrong in ({"places": 257}, {"places": -1}, {"overload_status": 200}, {"overload_status": "503x"}, {"task_places": 1000}):
            with self.subTest(wrong=wrong), self.assertRaises(AssertionError):
                self.sim.behave(**wrong)


if __name__ == "__main__":
    unittest.main()
