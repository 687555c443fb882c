// Python's view of the CTP client: a library, and sessions on it whose ticks and events are taken in batches.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>

#include "client.hpp"
#include "release.hpp"

namespace py = pybind11;
using qautlra::CtpTick;
using namespace qautlra::ctp;

namespace {

// (kind, request, is_last, has_info, error, text, record)
py::list events_of(Client& client, std::size_t most) {
  py::list out;
  for (std::size_t i = 0; i < most; ++i) {
    const bool got = client.events.pop([&out](const Event& e, const char* record) {
      out.append(py::make_tuple(static_cast<int>(e.kind), e.request, e.last != 0, e.answered != 0, e.error,
                                py::bytes(e.text, strnlen(e.text, sizeof e.text)), py::bytes(record, e.bytes)));
    });
    if (!got) break;
  }
  return out;
}

py::bytes ticks_of(Client& client, std::size_t most) {
  const std::size_t wanted = std::min(most, client.ticks.waiting());
  if (wanted == 0) return py::bytes();
  PyObject* raw = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(wanted * sizeof(CtpTick)));
  if (raw == nullptr) throw py::error_already_set();
  char* at = PyBytes_AS_STRING(raw);
  const std::size_t count = client.ticks.drain(wanted, [&at](const CtpTick* from, std::size_t run) {
    std::memcpy(at, from, run * sizeof(CtpTick));
    at += run * sizeof(CtpTick);
  });
  if (count < wanted && _PyBytes_Resize(&raw, static_cast<Py_ssize_t>(count * sizeof(CtpTick))) != 0) {
    throw py::error_already_set();
  }
  return py::reinterpret_steal<py::bytes>(raw);
}

py::tuple take(Client& client, std::size_t most_ticks, std::size_t most_events) {
  client.signal.begin();
  py::tuple out = py::make_tuple(ticks_of(client, most_ticks), events_of(client, most_events));
  client.signal.end([&client] { return client.empty(); });
  return out;
}

std::unique_ptr<Client> make(const Library& library, const std::string& flow, const std::vector<std::string>& fronts,
                             bool production, int private_mode, std::size_t ticks, std::size_t instruments,
                             std::size_t event_bytes) {
  const ClientBounds bounds{ticks, instruments, event_bytes};
  return std::make_unique<Client>(library, flow, fronts, production, private_mode, bounds);
}

}  // namespace

PYBIND11_MODULE(ctp, m) {
  m.doc() = "The CTP interface through libraries found at run time; no vendor header was used to build this.";
  py::register_exception<LibraryError>(m, "LibraryError", PyExc_RuntimeError);
  py::list releases;
  for (const Release& release : kReleases) releases.append(py::str(release.name));
  m.attr("RELEASES") = py::tuple(releases);
  m.attr("TICK_BYTES") = sizeof(CtpTick);
  m.attr("FRONT_CONNECTED") = static_cast<int>(kFrontConnected);
  m.attr("FRONT_DISCONNECTED") = static_cast<int>(kFrontDisconnected);

  py::class_<Library>(m, "Library")
      .def(py::init<const std::string&, bool>(), py::arg("path"), py::arg("market"),
           "Open a library; LibraryError says in a sentence what is wrong with it.")
      .def_property_readonly("path", &Library::path)
      .def_property_readonly("version", &Library::version)
      .def_property_readonly("release", [](const Library& l) { return l.release().name; })
      .def_property_readonly("market", &Library::market)
      .def_property_readonly("simulated", &Library::simulated)
      .def_property_readonly("slots", &Library::slots);

  const auto unlocked = py::call_guard<py::gil_scoped_release>();
  py::class_<Client>(m, "Client")
      .def(py::init(&make), py::arg("library"), py::kw_only(), py::arg("flow"), py::arg("fronts"),
           py::arg("production") = true, py::arg("private_mode") = 0, py::arg("ticks") = std::size_t{1} << 14,
           py::arg("instruments") = std::size_t{4096}, py::arg("event_bytes") = std::size_t{4} << 20)
      .def("start", &Client::start, unlocked)
      .def("close", &Client::close, unlocked, "Give the session back; no callback comes after it.")
      .def("request",
           [](Client& c, int kind, const py::bytes& record, int number) {
             char* data;
             Py_ssize_t size;
             if (PyBytes_AsStringAndSize(record.ptr(), &data, &size) != 0) throw py::error_already_set();
             const py::gil_scoped_release release;
             return c.request(static_cast<std::uint16_t>(kind), data, static_cast<std::size_t>(size), number);
           },
           py::arg("kind"), py::arg("record"), py::arg("number"), "0, or CTP's -1, -2, -3; -100: no such request.")
      .def("subscribe", &Client::subscribe, py::arg("codes"), py::arg("on") = true, unlocked)
      .def("take", &take, py::arg("ticks") = std::size_t{4096}, py::arg("events") = std::size_t{1024},
           "(ticks as bytes, [(kind, request, last, answered, error, text, record)]); `fd` is readable again "
           "when there is more.")
      .def_property_readonly("trading_day", &Client::trading_day)
      .def_property_readonly("fd", [](const Client& c) { return c.signal.fd(); })
      .def_property_readonly("received", &Client::received)
      .def_property_readonly("coalesced", [](const Client& c) { return c.ticks.coalesced(); })
      .def_property_readonly("dropped", [](const Client& c) { return c.ticks.dropped(); })
      .def_property_readonly("wakes", [](const Client& c) { return c.signal.wakes(); })
      .def_property_readonly("event_waits", [](const Client& c) { return c.events.waits(); })
      .def_property_readonly("event_bytes", [](const Client& c) { return c.events.waiting_bytes(); });
}
