# The plugins of the template beside this file, for a Packer that has none built in (from 1.10 on):
# packer init packer-windows.plugins.pkr.hcl
packer {
  required_plugins {
    amazon = {
      version = ">= 1.2.8, < 2.0.0"
      source  = "github.com/hashicorp/amazon"
    }
    ansible = {
      version = ">= 1.1.0, < 2.0.0"
      source  = "github.com/hashicorp/ansible"
    }
  }
}
