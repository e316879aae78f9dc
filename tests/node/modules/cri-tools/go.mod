module imgspec.test/cri-tools

go 1.25.0

require sigs.k8s.io/cri-tools v1.34.0
