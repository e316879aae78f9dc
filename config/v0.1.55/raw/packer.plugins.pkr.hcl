# The plugins of the template beside this file, for a Packer that has none built in (from 1.10 on):
# packer init packer.plugins.pkr.hcl
packer {
  required_plugins {
    ansible = {
      version = ">= 1.1.0, < 2.0.0"
      source  = "github.com/hashicorp/ansible"
    }
    qemu = {
      version = ">= 1.0.9, < 2.0.0"
      source  = "github.com/hashicorp/qemu"
    }
  }
}
