// What runs in the containers of the kubelet tests: one static program, standard library only.
module tokenturn.dev/tests/consumer

go 1.26.0
